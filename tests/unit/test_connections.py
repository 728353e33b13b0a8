"""The connections: ``connections.toml`` and the settings layer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dossier import connections
from dossier.errors import ConfigurationError, InvalidCaseError
from dossier.settings import Connection

ROOT = Path(__file__).resolve().parents[2]
GOOD = """
[invoices]
vendor = "docustack"
base_url = "https://api.docustack.com/"
schema_id = "sch_xyz789"
organization_id = "org_abc123"
limits = { concurrency = 7 }

[claims]
vendor = "docsumo"
base_url = "https://app.docsumo.com"
casetype_id = "casetype__d1t5b"

[disputes]
vendor = "ombudsman"
base_url = "https://partner.example.com"
tenant = "your_tenant_id"
"""


@pytest.fixture
def layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of a settings layer for GOOD, on the path as Lambda puts it there."""
    package = tmp_path / "layer" / connections.LAYER_PACKAGE
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / connections.LAYER_FILE).write_text(connections.dump(_load(tmp_path, GOOD)), encoding="utf-8")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.delitem(sys.modules, connections.LAYER_PACKAGE, raising=False)
    _forget()
    yield package.parent
    sys.modules.pop(connections.LAYER_PACKAGE, None)
    _forget()


def test_a_table_is_a_connection(tmp_path: Path) -> None:
    """Each table becomes its vendor's settings, named by the table, in the file's order."""
    loaded = _load(tmp_path, GOOD)
    assert list(loaded) == ["invoices", "claims", "disputes"]
    assert [each.name for each in loaded.values()] == list(loaded)
    assert loaded["invoices"].limits.concurrency == 7
    assert loaded["invoices"].base_url == "https://api.docustack.com"


def test_the_shipped_file_is_valid() -> None:
    """The shipped file can be deployed."""
    assert connections.load_toml(ROOT / "connections.toml")


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("", "has no connections: add a table such as [invoices]"),
        ("[invoices\n", "line 1, column 10: Expected ']' at the end of a table declaration"),
        ('a = "', "line 1, column 6: the text has no end: close its quotation marks"),
        ("top = 1", "top: a key outside of a table: write the connection's name on a line above it, such as"),
        ('[2nd]\nvendor = "docsumo"', "[2nd]: a name is 1 to 32 letters, digits, '_' and '-'"),
        ('[a-dlq]\nvendor = "docsumo"', '[a-dlq]: a name cannot end in "-dlq"'),
        ("[a]", "[a] vendor: missing: use one of docsumo, docustack, ombudsman"),
        (
            '[a]\nvender = "docsumo"',
            '[a] vendor: missing: use one of docsumo, docustack, ombudsman; you wrote "vender"',
        ),
        (
            '[a]\nvendor = "docstack"',
            '[a] vendor: unknown vendor: use one of docsumo, docustack, ombudsman; did you mean "docustack"?',
        ),
        ("[a]\nvendor = 1", "[a] vendor: unknown vendor: use one of"),
        ("{docsumo}", "[a] casetype_id: missing"),
        ('{docsumo}casetypeid = "c"', '[a] casetypeid: unknown key; did you mean "casetype_id"?'),
        ('{docsumo}casetype_id = "c"\nzzz = 1', "[a] zzz: unknown key"),
        ('{docsumo}casetype_id = "c"\nname = "b"', "[a] name: unknown key: the table's name is the connection's name"),
        (
            '{docsumo}casetype_id = "c"\nlimits = { concurency = 3 }',
            '[a] limits.concurency: unknown key; did you mean "concurrency"?',
        ),
        (
            '{docsumo}casetype_id = "c"\nwebhook = { scheme = "shared-secret", heder = "X" }',
            '[a] webhook.heder: unknown key; did you mean "header"?',
        ),
        (
            '{docsumo}casetype_id = "c"\nwebhook = { scheme = "shared-secret" }',
            '[a] webhook: scheme "shared-secret" needs a header',
        ),
        ('{docsumo}casetype_id = "c"\npoll = { every = 0 }', "[a] poll.every: must be greater than 0"),
        ('{docsumo}casetype_id = "c"\nlimits = 5', "[a] limits: must be "),
        ('{docsumo}casetype_id = "c"\npoll = { deadline = "5d" }', "[a] poll.deadline: must be a valid number (line"),
        (
            '{docsumo}casetype_id = "c"\nlimits = { requests_per_second = 0 }',
            "[a] limits.requests_per_second: must be greater than 0",
        ),
        (
            '{docsumo}casetype_id = "c"\ndone = { status = "processed" }',
            '[a] done.status: must be a list, such as ["one", "two"] (line',
        ),
        (
            '{docsumo}casetype_id = "c"\nstorage_hosts = "storage.test"',
            '[a] storage_hosts: must be a list, such as ["one", "two"] (line',
        ),
        (
            '[a]\nvendor = "ombudsman"\nbase_url = "https://x.example"\ntenant = ""',
            "[a] tenant: must not be empty (line",
        ),
        (
            '{docsumo}casetype_id = "c"\nlimits = { artifact_bytes = 9, case_bytes = 8 }',
            "[a] limits: artifact_bytes is larger than case_bytes: a case needs room for at least one artifact",
        ),
        ('{docsumo}casetype_id = "c"\nlimits = { case_bytes = 0 }', "[a] limits.case_bytes: must be greater than"),
        *(
            (f'{{docsumo}}casetype_id = "c"\nstorage_hosts = ["{host}"]', "[a] storage_hosts: write a host as ")
            for host in (
                *(
                    "https://storage.test",
                    "storage.test/path",
                    "*.storage.test",
                    "storage.test:0",
                    "storage.test:65536",
                ),
                *("storage.test:", "a@storage.test", "", "storage..test", "storage.test:x", "::1", "storage.test "),
            )
        ),
        (
            '[a]\nvendor = "docsumo"\nbase_url = "http://x.example"\ncasetype_id = "c"',
            "[a]: base_url is plain http: use https, or allow_insecure = true for a sandbox",
        ),
        ('[a]\nvendor = "docsumo"\nbase_url = "x"\ncasetype_id = "c"', "[a] base_url: must be http(s)://host"),
    ],
)
def test_each_error_is_one_line(tmp_path: Path, toml: str, said: str) -> None:
    """The line names the file, the table, the key and the problem."""
    toml = toml.replace("{docsumo}", '[a]\nvendor = "docsumo"\nbase_url = "https://x.example"\n')
    with pytest.raises(ConfigurationError) as error:
        _load(tmp_path, toml)
    assert str(error.value).startswith(f"mine.toml: {said}")
    assert "\n" not in str(error.value)


@pytest.mark.rule("security: read a secret in the template, or in connections.toml")
@pytest.mark.parametrize("key", ["api_key", "webhook_secrets", "token", "API-KEY"])
def test_secret_in_the_file_is_rejected_and_not_repeated(tmp_path: Path, key: str) -> None:
    """A key in the file is rejected with a line that names its right place, and is not printed."""
    with pytest.raises(ConfigurationError) as error:
        _load(tmp_path, f'{GOOD}{key} = "sk_live_planted"\n')
    assert "secrets belong in Secrets Manager" in str(error.value)
    assert "planted" not in str(error.value)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    """A missing file says how to name another."""
    with pytest.raises(ConfigurationError, match=r"^none\.toml: there is no such file: .*DOSSIER_CONNECTIONS"):
        connections.load_toml(tmp_path / "none.toml")


def test_a_folder_and_binary_data_are_reported(tmp_path: Path) -> None:
    """A folder or a binary file is one line as well."""
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        connections.load_toml(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(ConfigurationError, match=r"^latin\.toml: is not UTF-8 text \(byte 2\)$"):
        connections.load_toml(tmp_path / "latin.toml")


def test_the_dump_is_complete_and_always_the_same(tmp_path: Path) -> None:
    """The settings layer has every default, and its text depends only on the settings."""
    loaded = _load(tmp_path, GOOD)
    text = connections.dump(loaded)
    assert json.loads(text)["claims"]["poll"]["deadline"] == 5 * 86400
    assert connections.dump(dict(reversed(loaded.items()))) == text
    assert "key" not in json.loads(text)["invoices"]


@pytest.mark.usefixtures("layer")
def test_functions_use_the_validated_settings(tmp_path: Path) -> None:
    """A connection at run time equals the one of the file."""
    loaded = _load(tmp_path, GOOD)
    assert connections.runtime_names() == sorted(loaded)
    assert {name: connections.load_runtime(name) for name in loaded} == loaded


@pytest.mark.usefixtures("layer")
def test_an_unknown_connection_names_the_known_ones() -> None:
    """A case for a connection that does not exist says which do."""
    with pytest.raises(
        InvalidCaseError, match=r'^unknown connection "invoice": use one of claims, disputes, invoices$'
    ):
        connections.load_runtime("invoice")


@pytest.mark.usefixtures("layer")
def test_webhook_settings_have_every_default() -> None:
    """The webhook function reads plain values; None for a connection without webhooks."""
    assert connections.webhook_settings("claims") == {
        "scheme": "shared-secret",
        "header": "X-Webhook-Token",
        "prefix": "",
        "tolerance": 300,
        "max_bytes": 1_048_576,
    }
    assert connections.webhook_settings("disputes") is None
    assert connections.webhook_settings("nobody") is None


@pytest.mark.parametrize(
    "host", ["storage.test", "Storage.Test:8443", "10.0.0.1", "[2600::1]", "[2600::1]:8443", "x_y"]
)
def test_a_storage_host_is_a_name_or_a_name_with_a_port(tmp_path: Path, host: str) -> None:
    """What URLs may point to is taken as it is written."""
    loaded = _load(tmp_path, GOOD.replace('casetype__d1t5b"', f'casetype__d1t5b"\nstorage_hosts = ["{host}"]'))
    assert loaded["claims"].storage_hosts == (host,)


def test_a_cold_start_imports_no_pydantic(layer: Path) -> None:
    """The webhook function reads its settings with only the standard library."""
    code = (
        "import sys; from dossier.connections import webhook_settings; assert webhook_settings('claims');"
        "print([name for name in ('pydantic', 'httpx', 'boto3', 'dossier.settings') if name in sys.modules])"
    )
    path = f"{layer}:{ROOT / 'layers' / 'shared' / 'python'}"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def _load(folder: Path, toml: str) -> dict[str, Connection]:
    path = folder / "mine.toml"
    path.write_text(toml, encoding="utf-8")
    return connections.load_toml(path)


def _forget() -> None:
    """Forget the settings that were read from a layer: functions read theirs once, tests have many."""
    for each in (connections._layer, connections._load_known):
        each.cache_clear()


@pytest.mark.rule("docustack authentication and keys the vendor limits each key")
@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("", None),
        ('base_url = "https://b.example.com"', "[two] account: [one] has the same account but another base_url"),
        ("limits = { requests_per_second = 3 }", "[two] limits.requests_per_second: [one] has the same account"),
    ],
)
def test_connections_of_one_account_agree(tmp_path: Path, change: str, line: str | None) -> None:
    """Connections of one account need the same limits, and the deployment reports differences."""
    table = 'vendor = "docustack"\nschema_id = "s"\norganization_id = "o"\naccount = "acme"\n'
    base = 'base_url = "https://a.example.com"\n'
    second = change if change.startswith("base_url") else base + change
    path = tmp_path / "connections.toml"
    path.write_text(f"[one]\n{table}{base}[two]\n{table}{second}\n")
    if line is None:
        assert {each.limited_as for each in connections.load_toml(path).values()} == {"@acme"}
        return
    with pytest.raises(ConfigurationError) as wrong:
        connections.load_toml(path)
    assert line in str(wrong.value)


@pytest.mark.parametrize(
    ("budget", "problem"),
    [
        ("{ cases_per_day = -1 }", "[invoices] budget.cases_per_day: must be greater than or equal to 0"),
        ("{ pages_per_case = 1.5 }", "[invoices] budget.pages_per_case: must be a valid"),
        ("{ price_per_page = inf }", "[invoices] budget.price_per_page: must be a finite number"),
        ("{ pages_per_dya = 5 }", '[invoices] budget.pages_per_dya: unknown key; did you mean "pages_per_day"?'),
        ("{ pages_per_day = 5, pages_per_case = 6 }", "[invoices] budget: pages_per_case is larger than pages_per_day"),
    ],
)
def test_a_wrong_budget_is_named(tmp_path: Path, budget: str, problem: str) -> None:
    """Each key with its valid values."""
    text = (
        (ROOT / "connections.toml")
        .read_text(encoding="utf-8")
        .replace("[invoices]\n", f"[invoices]\nbudget = {budget}\n")
    )
    path = tmp_path / "connections.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as wrong:
        connections.load_toml(path)
    assert problem in str(wrong.value)
