"""A cold start loads what the function uses, and nothing heavy besides."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

from bench.starts import CLIENTS, VERBS, importing, python
from tests.tables import ROOT

LISTS = (
    "import sys, dossier.bootstrap, dossier.observe; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
)
VARIABLES = """
import importlib, os, pkgutil, aws_lambda_powertools, boto3, httpx, pydantic, dossier
read, kind = set(), type(os.environ)
plain = kind.__getitem__
def noted(self, name):
    read.add(name)
    return plain(self, name)
kind.__getitem__ = noted
for module in pkgutil.walk_packages(dossier.__path__, "dossier."):
    if module.name != "dossier.observe":
        importlib.import_module(module.name)
print(*read)
"""
BATCHES, OTHERS = 1.6, 1.46
"""Most modules that a function imports, as a share of a bare one's: with Powertools' batches, and without.

Fewer are always better; more need a reason."""


@cache
def imported(code: str) -> frozenset[str]:
    """Return the modules that a new process has after running some code."""
    return frozenset(python("-c", f"{code}import sys; print(*sys.modules)").split())


def of(verb: str) -> frozenset[str]:
    """Return the modules that a function's cold start imports."""
    return imported(importing(verb))


def test_no_function_loads_a_tracing_library() -> None:
    """X-Ray's SDK, which patched every library, took most of a cold start; OpenTelemetry is a separate layer."""
    environment = {"PYTHONPATH": str(ROOT / "layers" / "shared" / "python"), "POWERTOOLS_METRICS_NAMESPACE": "Dossier"}
    done = subprocess.run([sys.executable, "-c", LISTS], env=environment, capture_output=True, text=True, check=True)
    assert {"boto3", "dossier"} <= set(done.stdout.split())
    assert not {"aws_xray_sdk", "opentelemetry", "wrapt"} & set(done.stdout.split())
    locked = (ROOT / "layers" / "requirements.txt").read_text(encoding="utf-8")
    assert "xray" not in locked


@pytest.mark.parametrize("verb", VERBS)
def test_a_function_imports_few_modules(verb: str) -> None:
    """A count, which does not depend on the machine, relative to the modules of a bare function."""
    share = len(of(verb)) / len(imported(CLIENTS))
    most = BATCHES if any("utilities.batch" in each for each in of(verb)) else OTHERS
    assert share <= most


@pytest.mark.parametrize("verb", VERBS)
def test_the_http_library_is_imported_with_the_first_request(verb: str) -> None:
    """Functions that send no request, such as wait, accept and sweep, never import it."""
    assert not {"httpx", "httpcore", "anyio", "aws_lambda_powertools.utilities.parameters.secrets"} & of(verb)


def test_a_webhook_waits_for_little() -> None:
    """The vendor waits for this function, so it imports neither models nor transport."""
    assert not {"pydantic", "dossier.transport", "dossier.models", "dossier.steps.context"} & of("webhook")
    assert len(of("webhook")) <= 1.15 * len(imported(CLIENTS))


def test_one_module_reads_its_functions_variables_when_it_is_imported() -> None:
    """The local AWS imports all others for every function at once (``local/aws/template.py``)."""
    read = python("-c", VARIABLES).split()
    assert [name for name in read if name.startswith(("AWS_", "DOSSIER_", "LAMBDA_", "POWERTOOLS_"))] == []
