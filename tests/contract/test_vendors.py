"""Every vendor that Dossier finds keeps the contract of ``suite.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from dossier import vendors
from dossier.errors import ConfigurationError
from dossier.settings import Connection
from tests.contract.suite import VENDOR_CHECKS, Check, Exchange, Suite, checks, load


def _suites() -> Iterator[Suite]:
    for name in vendors.names():
        try:
            suite = load(name)
            assert suite.vendor
        except (OSError, ValueError, ImportError, AttributeError):
            continue  # test_has_a_suite says what is wrong with it
        yield suite


def _case(suite: Suite, name: str, *values: object) -> ParameterSet:
    """Return a case of a parametrized test, with the rules that it shows."""
    marks = pytest.mark.rule(*suite.recordings.rules.get(name, ()))
    return pytest.param(suite, *values, id=f"{suite.name}-{name}", marks=marks)


SUITES = list(_suites())
VENDORS = [_case(suite, check.__name__, check) for suite in SUITES for check in VENDOR_CHECKS]
EXCHANGES = [
    _case(suite, f"{exchange.name}-{check.__name__}", exchange, check)
    for suite in SUITES
    for exchange in suite.recordings.exchanges
    for check in checks(exchange)
]


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_the_rules_of_a_suite_are_those_of_its_cases(suite: Suite) -> None:
    """A misspelt case would show nothing."""
    cases = {each.id for each in (*VENDORS, *EXCHANGES)}
    assert [each for each in suite.recordings.rules if f"{suite.name}-{each}" not in cases] == []


@pytest.mark.parametrize("name", vendors.names())
def test_has_a_suite(name: str) -> None:
    """Every vendor has recordings."""
    assert load(name).vendor.name == name


SHARED_FILES = {"adapter", "answers", "guide", "hints", "operations", "options", "requests", "results", "settings"}


@pytest.mark.parametrize("name", vendors.names())
def test_every_vendors_folder_has_the_same_files(name: str) -> None:
    """A reader who knows one vendor's folder finds everything in the others."""
    [folder] = vendors.__path__
    assert {each.stem for each in (Path(folder) / name).glob("*.py")} >= SHARED_FILES


def test_a_connection_gets_its_own_vendors_adapter() -> None:
    """The adapter is made from the connection, so that it never has another vendor's settings."""
    for suite in SUITES:
        assert vendors.vendor(suite.connection()).name == suite.name
    with pytest.raises(ConfigurationError, match='unknown vendor "x"'):
        vendors.vendor(Connection(name="other", vendor="x", base_url="https://x.example.com"))


@pytest.mark.parametrize(("suite", "check"), VENDORS)
def test_vendor(suite: Suite, check: Callable[[Suite], None]) -> None:
    """The adapter passes each part of the contract."""
    check(suite)


@pytest.mark.parametrize(("suite", "exchange", "check"), EXCHANGES)
def test_exchange(suite: Suite, exchange: Exchange, check: Check) -> None:
    """A recorded exchange gives what was recorded, and whatever its replies turn into, nothing else than it may."""
    check(suite, exchange)
