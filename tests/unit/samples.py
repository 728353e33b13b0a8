"""The sample deliveries under ``events``, and the webhook function that they are for."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dossier import connections
from tests.conftest import Cloud

ROOT = Path(__file__).parents[2]
Function = Callable[[Any], dict[str, Any]]
"""The handler: an event of API Gateway in, its response out."""

SECRET = "whs-current-5a1c"  # what the sample events are signed with


def sample(name: str) -> dict[str, Any]:
    """Return an event of API Gateway by its file's name."""
    event: dict[str, Any] = json.loads((ROOT / "events" / "deliveries" / f"{name}.json").read_text(encoding="utf-8"))
    return event


TOML = """
[invoices]
vendor = "docustack"
base_url = "https://api.docustack.com"
schema_id = "s"
organization_id = "o"
[claims]
vendor = "docsumo"
base_url = "https://app.docsumo.com"
casetype_id = "c"
[letters]
vendor = "docsumo"
base_url = "https://app.docsumo.com"
casetype_id = "c"
webhook = { scheme = "path-token" }
[small]
vendor = "docustack"
base_url = "https://api.docustack.com"
schema_id = "s"
organization_id = "o"
webhook = { scheme = "hmac-sha256-hex", header = "X-DocuStack-Signature", max_bytes = 10 }
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the settings layer's content for the connections above."""
    file = tmp_path_factory.mktemp("connections") / "connections.toml"
    file.write_text(TOML, encoding="utf-8")
    data: dict[str, Any] = json.loads(connections.dump(connections.load_toml(file)))
    return data


def instance() -> Function:
    """Return a new instance of ``functions/webhook``, which remembers nothing of the others."""
    spec = importlib.util.spec_from_file_location("webhook_handler", ROOT / "functions" / "webhook" / "handler.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    context = SimpleNamespace(
        function_name="dossier-dev-webhook", memory_limit_in_mb=512, aws_request_id="1",
        invoked_function_arn="arn:aws:lambda:us-east-1:1:function:dossier-dev-webhook",
    )  # fmt: skip
    return lambda event: dict(module.handler(event, context))


@pytest.fixture
def function(
    cloud: Cloud, table: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Function]:
    """Return ``functions/webhook`` as it is deployed: its handler, its settings layer, AWS in memory."""
    package = tmp_path / connections.LAYER_PACKAGE
    package.mkdir()
    (package / "__init__.py").touch()
    (package / connections.LAYER_FILE).write_text(json.dumps(table), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("WAKE_QUEUE_URL", "BUCKET", "PREFIX"):
        monkeypatch.setenv(f"DOSSIER_{name}", getattr(cloud.app.environment, name.lower()))
    manager = cloud.session.client("secretsmanager")
    manager.create_secret(Name="dossier/invoices", SecretString=json.dumps({"webhook_secrets": [SECRET]}))
    manager.create_secret(Name="dossier/claims", SecretString="not JSON")
    connections._layer.cache_clear()
    yield instance()
    connections._layer.cache_clear()
    sys.modules.pop(connections.LAYER_PACKAGE, None)
