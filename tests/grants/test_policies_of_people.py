"""People with the policies of ``policies/`` can do what their role does, nothing else, and need each grant of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from cli.main import app
from tests.chaos.deployment import deployed
from tests.grants.bench import Bench
from tests.grants.people import People
from tests.grants.roles import Grant, Person

pytestmark = pytest.mark.timeout(1500)  # the first test of a role waits until everything was played
LOCAL = {"up", "down"}
"""Commands of the local AWS alone."""
USERS = {"outputs", "policy", "submit", "status", "list", "fetch"}
UNASKED = {"s3:PutObjectTagging"}
"""What no command can miss here: the local AWS asks for no permission of its own to write an object with tags."""
OPERATORS = (
    ("collect", "claims", "unknown"),
    ("refresh", "REFERENCE"),
    ("cancel", "REFERENCE"),
    ("redrive",),
    ("deliveries",),
    ("replay", "webhooks/claims/2026/01/31/unknown.json"),
    ("vendor", "claims", "cases"),
    ("secrets", "set", "claims", "--api-key", "stolen"),
    ("drain",),
    ("doctor",),
)
"""Commands that a user's policy does not have; ``resolve`` needs a question, and is tried by itself."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Yield a bench on a deployment of its own."""
    home = tmp_path_factory.mktemp("people") / "home"
    with deployed(home) as deployment:
        yield Bench(deployment, home)


@pytest.fixture(scope="module")
def people(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], People]:
    """Return what makes somebody of a role, with the policy that ``dossier policy`` prints attached."""
    made: dict[str, People] = {}

    def of(role: str) -> People:
        if role not in made:
            document = bench.deployment.dossier("policy", role)
            person = Person(bench.client("iam"), f"the-{role}", document)
            made[role] = People(bench, person, tmp_path_factory.mktemp(role), unasked=_unasked)
        return made[role]

    return of


def _unasked(grant: Grant) -> bool:
    return grant.action in UNASKED


def test_a_user_needs_every_grant(people: Callable[[str], People]) -> None:
    """Each command of a user succeeds with the policy, and each grant of it is missed by one of them."""
    user = people("user")
    user.submits()
    assert user.played == USERS
    assert sorted(map(str, user.person.grants - user.missed)) == []


def test_an_operator_needs_every_grant(people: Callable[[str], People]) -> None:
    """Each command of a stage succeeds with an operator's policy, and each grant of it is missed by one of them."""
    operator = people("operator")
    operator.operates()
    operator.submits()
    commands: Any = get_command(app)
    assert operator.played == set(commands.commands) - LOCAL
    assert {each.action for each in operator.person.grants - operator.missed} == UNASKED


@pytest.mark.parametrize("words", OPERATORS, ids=lambda words: words[0])
def test_a_user_cannot_operate(people: Callable[[str], People], words: tuple[str, ...]) -> None:
    """A command of an operator fails for a user, in one line that names what is missing."""
    user = people("user")
    line = user.refused(*(user.finished if each == "REFERENCE" else each for each in words))
    assert " is missing: " in line, line


def test_a_user_cannot_answer(people: Callable[[str], People]) -> None:
    """Nor can a user answer what is asked of an operator."""
    user = people("user")
    assert " is missing: dynamodb:" in user.refused("resolve", user.in_doubt(), "--retry")


def test_without_any_policy_a_command_says_what_is_missing(bench: Bench, tmp_path: Path) -> None:
    """Somebody with keys and no permission reads which one comes first."""
    nothing = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "none:None", "Resource": "arn:aws:none:::none"},
    ]}  # fmt: skip
    stranger = People(bench, Person(bench.client("iam"), "a-stranger", nothing), tmp_path, unasked=_unasked)
    line = stranger.refused("list")
    assert "user/a-stranger is missing: cloudformation:DescribeStacks on arn:aws:cloudformation:" in line
