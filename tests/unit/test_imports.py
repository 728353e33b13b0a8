"""A cold start loads what the function uses, and nothing heavy besides."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

from tests.tables import ROOT

LISTS = (
    "import sys, dossier.bootstrap, dossier.observe; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
)
VERBS = sorted(each.parent.name for each in (ROOT / "functions").glob("*/handler.py"))
BARE = "import boto3; boto3.client('sqs'); boto3.resource('dynamodb')"
"""What any function imports that uses a table and a queue."""
BATCHES, OTHERS = 1.6, 1.46
"""Most modules that a function imports, as a share of a bare one's: with Powertools' batches, and without.

Fewer are always better; more need a reason."""


@cache
def imported(code: str) -> frozenset[str]:
    """Return the modules that a new process has after running some code."""
    names = {
        "PYTHONPATH": str(ROOT / "layers" / "shared" / "python"),
        "POWERTOOLS_METRICS_NAMESPACE": "Dossier",
        "AWS_DEFAULT_REGION": "us-east-1",
        "DOSSIER_WAKE_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/wake",
        "DOSSIER_BUCKET": "b",
    }
    told = [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"]
    return frozenset(subprocess.run(told, env=names, capture_output=True, text=True, check=True).stdout.split())


def of(verb: str) -> frozenset[str]:
    """Return the modules that a function's cold start imports."""
    return imported(f"import sys; sys.path.insert(0, {str(ROOT / 'functions' / verb)!r}); import handler")


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
    """A count, which depends on no machine: at most so many for each that a bare function imports."""
    share = len(of(verb)) / len(imported(BARE))
    most = BATCHES if any("utilities.batch" in each for each in of(verb)) else OTHERS
    assert share <= most


@pytest.mark.parametrize("verb", VERBS)
def test_the_http_library_is_imported_with_the_first_request(verb: str) -> None:
    """Functions that send no request, such as wait, accept and sweep, never import it."""
    assert not {"httpx", "httpcore", "anyio", "aws_lambda_powertools.utilities.parameters.secrets"} & of(verb)


def test_a_webhook_waits_for_little() -> None:
    """The vendor waits for this function, so it imports neither models nor transport."""
    assert not {"pydantic", "dossier.transport", "dossier.models", "dossier.steps.context"} & of("webhook")
    assert len(of("webhook")) <= 1.15 * len(imported(BARE))
