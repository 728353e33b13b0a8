"""Arbitrary settings files, execution inputs and vendors' bodies give an answer or one known error."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dossier import connections, vendors
from dossier.errors import ConfigurationError, InvalidCaseError
from dossier.models import CaseInput, Document
from dossier.ports import CaseView
from dossier.settings import Connection
from dossier.stores.objects import split_uri

KEYS = (
    *("connection", "reference", "documents", "options", "case_id", "uri", "name", "resume", "data", "case", "status"),
    *("document_id", "job_id", "event", "fields", "value", "confidence", "doc_id", "id", "evidence", "cases", "title"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["failed", "s3://b/k"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
TOML = st.text(max_size=120) | st.text(alphabet='[]{}=".\n abcdefhilmnorstuvw_0123456789', max_size=160)
TABLE = '[invoices]\nvendor = "docustack"\nbase_url = "https://x.test"\nschema_id = "s"\norganization_id = "o"\n'


@pytest.mark.rule("security: break a deployment halfway with settings")
@given(text=TOML | TOML.map(lambda rest: TABLE + rest))
@settings(deadline=None)
def test_any_connections_file_loads_or_is_one_line(text: str) -> None:
    """Whatever the file contains, the operator reads one line for each problem, or the connections are valid."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "connections.toml"
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            known = connections.load_toml(file)
        except ConfigurationError as error:
            assert all(line.startswith("connections.toml: ") for line in str(error).split("\n"))
        else:
            assert json.loads(connections.dump(known))


@pytest.mark.rule("security: break Accept with an input")
@given(data=JSON)
def test_any_execution_input_is_a_case_or_one_line(data: Any) -> None:
    """Any input is a case, or one line that says what to fix."""
    try:
        case = CaseInput.parse(data)
    except InvalidCaseError as error:
        assert "\n" not in str(error).replace("\\n", "")
    else:
        assert case.documents or case.case_id


@pytest.mark.rule("security: break Accept with an input")
@given(uri=st.text(max_size=60) | st.text(alphabet="s3:/[]@?#.\\ab\n", max_size=30).map(lambda rest: f"s3://{rest}"))
def test_any_uri_is_bucket_and_key_or_rejected(uri: str) -> None:
    """A document's URI names one object of one bucket, or is rejected."""
    try:
        bucket, key = split_uri(uri)
    except InvalidCaseError:
        return
    assert uri == f"s3://{bucket}/{key}"
    assert bucket
    assert key


KEPT = ("case", "files", "upload-0", "after", "document-d1", "evidence-d1", "d1")
SETTINGS: dict[str, dict[str, Any]] = {
    "docsumo": {"casetype_id": "c"},
    "docustack": {"schema_id": "s", "organization_id": "o"},
    "ombudsman": {"tenant": "t"},
}


def _connection(name: str) -> Connection:
    given_ = {"name": "x", "vendor": name, "base_url": "https://x.test", **SETTINGS[name]}
    return vendors.connection_model(name).model_validate(given_)


@pytest.mark.rule("security: cause a traceback, or a result that cannot be written")
@pytest.mark.parametrize("name", vendors.names())
@given(body=JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
def test_any_delivery_is_a_hint_or_none(name: str, body: bytes) -> None:
    """A verified delivery may still be anything: it names ids, or nothing."""
    hint = vendors.vendor(_connection(name)).read_hint(body)
    if hint is not None:
        assert all(isinstance(each, str) and each for each in (*hint.case_ids, *hint.document_ids, *hint.job_ids))


@pytest.mark.rule("security: cause a traceback, or a result that cannot be written")
@pytest.mark.parametrize("name", SETTINGS)
@given(raw=st.dictionaries(st.sampled_from(KEPT), JSON, max_size=6))
@settings(deadline=None)
def test_any_raw_answers_are_a_result(name: str, raw: dict[str, Any]) -> None:
    """Whatever a vendor's answers hold, a result comes out that can be written down."""
    connection = _connection(name)
    documents = (Document(index=0, name="a.pdf", key="k", document_id="d1"),)
    view = CaseView(connection, "R-1", {}, "c1", documents, datetime(2026, 1, 1, tzinfo=UTC))
    kept = {key: json.dumps(value).encode() for key, value in raw.items()}
    result = vendors.vendor(connection).read_result(view, kept)
    assert json.dumps(result.model_dump(mode="json"), allow_nan=False)
