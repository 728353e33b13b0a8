"""All that is wrong with a settings file is reported at once, each problem with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dossier import tables
from dossier.connections import load_toml
from dossier.errors import ConfigurationError
from infra.settings import Settings

GOOD = """
[invoices]
vendor = "docustack"
base_url = "https://api.docustack.com/"
schema_id = "sch_xyz789"
organization_id = "org_abc123"

[claims]
vendor = "docsumo"
base_url = "https://app.docsumo.com"
casetype_id = "casetype__d1t5b"
"""
WRONG = """# mine
vendor = "docsumo"

[invoices]
vendor = "docustack"
base_url = "https://api.docustack.com"
schema_id = sch_xyz789
organisation_id = "org_abc123"
limits = { concurency = 7 }

[claims]
vendor = "docsumo"
base_url = "https://app.docsumo.com"
base_url = "https://app.docsumo.com"
poll = { every = 0, max = "often" }

[invoices]
vendor = "ombudsman"

[disputes]
vendor = "ombudsmann"
"""


def test_every_problem_of_a_connections_file_is_reported_with_its_line(tmp_path: Path) -> None:
    """Mistakes of form, of keys and of values are one answer, in the file's order."""
    expected = [
        "vendor: a key outside of a table: write the connection's name on a line above it, such as [invoices]",
        "line 7, column 13: invalid value: write text in quotation marks, a list in brackets, true and false",
        '[invoices] organisation_id: unknown key; did you mean "organization_id"? (line 8)',
        '[invoices] limits.concurency: unknown key; did you mean "concurrency"? (line 9)',
        "[claims] casetype_id: missing (line 11)",
        "line 14: [claims] base_url: duplicate key, first in line 13: leave out one of the two",
        "[claims] poll.every: must be greater than 0 (line 15)",
        "[claims] poll.max: must be a valid number",
        "line 17: duplicate table [invoices], first in line 4: put all its keys into one table, or rename one",
        "[disputes] vendor: unknown vendor: use one of docsumo, docustack, ombudsman; did you mean",
    ]
    text = _problems(tmp_path, WRONG)
    assert len(text) == len(expected), text
    assert [line[: len(wanted) + 11] for line, wanted in zip(text, expected, strict=True)] == [
        f"mine.toml: {each}" for each in expected
    ]


def test_an_unreadable_key_is_not_reported_as_missing(tmp_path: Path) -> None:
    """A mistake of form is one problem, and not two."""
    (text,) = _problems(tmp_path, GOOD.replace('"casetype__d1t5b"', "casetype__d1t5b"))
    assert text.startswith("mine.toml: line 11, column 15: invalid value")


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[a]\nb = [", "line 2: the value here has no end: close its quotation marks or brackets"),
        ("[a]\nb = [\nc = 1\n", "line 2: the value here has no end, or an error in line 3"),
        ("[a]\nb = 1979-13-40", "line 2, column "),
        ("[a]\nb = " + "[" * 5000, "line 2: "),
        ("[[a]]\nvendor = 'docsumo'", "[[a]]: a connection is one table: write [a] (line 1)"),
        ("[a.poll]\nfrist = 1\n[a]\nvendor = 'docsumo'\nbase_url = 'https://x'\ncasetype_id = 'c'",
         '[a] poll.frist: unknown key; did you mean "first"? (line 2)'),
        ("[a]\nvendor = 'docsumo'\nbase_url = 'https://x'\nCasetype-ID = 'c'",
         '[a] Casetype-ID: unknown key; did you mean "casetype_id"? (line 4)'),
        ("[a]\nvendor = 'docsumo'\nbase_url = 'https://x'\ncasetype_id = 'c'\npoll.first = -1",
         "[a] poll.first: must be greater than or equal to 0 (line 5)"),
        ("[a]\nvendor = 'docsumo'\nbase_url = 'https://x'\ncasetype_id = 'c'\nstorage_hosts = [\n  'a/b',\n]",
         "[a] storage_hosts: write a host as"),
    ],
)  # fmt: skip
def test_a_problem_names_its_line(tmp_path: Path, toml: str, said: str) -> None:
    """Tables of tables, dotted keys and values of several lines have lines too."""
    (problem,) = _problems(tmp_path, toml)
    assert problem.startswith(f"mine.toml: {said}")
    assert "line " in problem


@pytest.mark.parametrize(
    "toml",
    [
        "[a]\nb = { c = 1 }\nb.d = 2\n",
        "[a.b]\nc = 1\n[a]\nb.d = 2\n",
        "[a]\nlimits = { artifacts = 1 }\n[a.limits]\nconcurrency = 3\n",
        "[a]\nb = 1\n[a.b]\n",
        "a = 1\na.b = 2\n",
        "[a]\n[[a]]\n",
        "[[a]]\n[a]\n",
        "[a]\n'''x''' = 1\n",
        'x = """\n[a]\n"""\n[a]\n[a]\n',
        "[a]\nb = 1\nb = 2\n",
        "[a\n",
        "=\n",
    ],
)
def test_invalid_toml_is_reported_with_its_line(toml: str) -> None:
    """A file that ``tomllib`` rejects is never accepted."""
    problems = tables.read(toml).problems
    assert problems
    assert all(0 < line <= toml.count("\n") + 1 for line, _ in problems)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_valid_file_is_read_like_tomllib(newline: str) -> None:
    """A value of several lines that looks like a table, or like a key, is neither a table nor a key."""
    text = '[a]\nb = """\n[c]\nd = 1\n"""\ne = [\n  "[f]", # [g]\n  "h",\n]\n\n[a.i]\nj.k = 1\nj.l = { m = 2 }\n'
    text += "[[n]]\n[[n]]\n"
    found = tables.read(text.replace("\n", newline))
    assert found.problems == []
    assert found.data == {
        "a": {"b": "[c]\nd = 1\n", "e": ["[f]", "h"], "i": {"j": {"k": 1, "l": {"m": 2}}}},
        "n": [{}, {}],
    }
    assert [found.line(path) for path in (("a", "b"), ("a", "e"), ("a", "i", "j", "l", "m"), ("n",), ("o",))] == [
        2, 6, 13, 14, None,
    ]  # fmt: skip


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """Editors on Windows write one."""
    (tmp_path / "mine.toml").write_text(f"\ufeff{GOOD}", encoding="utf-8")
    assert list(load_toml(tmp_path / "mine.toml")) == ["invoices", "claims"]


def test_every_problem_of_the_deploy_settings_is_reported_with_its_line(tmp_path: Path) -> None:
    """The stage's file, and the connections file that it names, are one answer."""
    (tmp_path / "mine.toml").write_text(WRONG, encoding="utf-8")
    settings = """stage = "Prod"
conections = "mine.toml"
connections = "mine.toml"
documents_days = 90
retain = maybe

[retention]
documents_days = "long"
alarm_email = "team@example.com"

[retention]
raw_days = 3
"""
    (tmp_path / "dossier.toml").write_text(settings, encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        Settings.load(lambda _key: None, root=tmp_path, environment={})
    text = str(error.value).splitlines()
    for wanted in (
        'dossier.toml: stage "Prod": use 1 to 16 lower-case letters and digits, beginning with a letter (line 1)',
        'dossier.toml: conections: unknown setting; did you mean "connections"? (line 2)',
        'dossier.toml: documents_days: unknown setting; did you mean "retention.documents_days"? Write documents_days '
        "under [retention] (line 4)",
        'dossier.toml: retention.documents_days "long": use a whole number from 1 to 36500 (line 8)',
        'dossier.toml: retention.alarm_email: unknown setting; did you mean "alarm_email"? Write alarm_email above the '
        "first table (line 9)",
        "dossier.toml: line 11: duplicate table [retention], first in line 7: put all its keys into one table, or "
        "rename one",
    ):
        assert wanted in text, text
    assert any(each.startswith("dossier.toml: line 5") for each in text), text
    assert sum(each.startswith("mine.toml: ") for each in text) == 10


def _problems(folder: Path, toml: str) -> list[str]:
    (folder / "mine.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        load_toml(folder / "mine.toml")
    return str(error.value).splitlines()
