"""A cold start loads no tracing, unless a layer brings it."""

from __future__ import annotations

import subprocess
import sys

from tests.tables import ROOT

LISTS = (
    "import sys, dossier.bootstrap, dossier.observe; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
)


def test_no_function_loads_a_tracing_library() -> None:
    """X-Ray's SDK, which patched every library, took most of a cold start; OpenTelemetry is a separate layer."""
    environment = {"PYTHONPATH": str(ROOT / "layers" / "shared" / "python"), "POWERTOOLS_METRICS_NAMESPACE": "Dossier"}
    done = subprocess.run([sys.executable, "-c", LISTS], env=environment, capture_output=True, text=True, check=True)
    assert {"boto3", "dossier"} <= set(done.stdout.split())
    assert not {"aws_xray_sdk", "opentelemetry", "wrapt"} & set(done.stdout.split())
    locked = (ROOT / "layers" / "requirements.txt").read_text(encoding="utf-8")
    assert "xray" not in locked
