"""The targets of ``make fuzz``: its seeds and findings keep every promise, and a broken promise is detected."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from dossier import connections, replies
from dossier.errors import ConfigurationError
from dossier.steps import webhook as step
from dossier.transport import downloads
from fuzz import answers, deliveries, headers, texts
from fuzz.answers import END
from fuzz.seeds import FOUND, seeds, words
from fuzz.targets import TARGETS


@pytest.mark.rule("security: find a weakness that nobody has thought of")
@pytest.mark.parametrize("name", TARGETS)
def test_seeds_keep_every_promise(name: str) -> None:
    """Each recorded answer, delivery, name, URL and file, and each input that broke something once, is harmless."""
    begun = list(seeds(name))
    assert len(begun) > 5
    assert all(len(each) <= 200 for each in words(name))
    for each in begun:
        TARGETS[name].run(each)


def test_every_finding_belongs_to_a_target() -> None:
    """An input that was found is replayed: its file's name begins with that of its target."""
    assert [each.name for each in FOUND.glob("*-*") if each.name.partition("-")[0] not in TARGETS] == []


@pytest.mark.parametrize("empty", [b"", b"\x00", b"\xff\xfe", b"\n" * 50], ids=repr)
@pytest.mark.parametrize("name", TARGETS)
def test_tiny_inputs_are_harmless(name: str, empty: bytes) -> None:
    """A target takes any bytes, none at all too."""
    TARGETS[name].run(empty)


def _two_lines(_path: Path) -> Any:
    raise ConfigurationError("one\ntwo")


def _breaks(*_: Any) -> Any:
    raise KeyError("case_id")


@pytest.mark.rule("security: find a weakness that nobody has thought of")
def test_an_accepted_forgery_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzzer detects a webhook that answers 200 to a wrong signature, and one that rejects a right one."""
    for verdict, flags in ((True, 0), (False, deliveries.SIGNED)):
        monkeypatch.setattr(step, "verify", lambda *_, verdict=verdict, **__: verdict)
        with pytest.raises(AssertionError, match="github: answered"):
            deliveries.webhook(bytes([0, flags]) + b"sha256=00\n{}")


@pytest.mark.rule("security: find a weakness that nobody has thought of")
def test_other_broken_promises_are_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path for a name, a traceback for an answer, two lines for an error, a request to a stranger."""
    monkeypatch.setattr(texts, "unique_names", list)
    with pytest.raises(AssertionError, match="a path"):
        texts.names(b"../a")
    monkeypatch.setitem(answers.OPERATIONS, answers.FLOWS[0][1], _breaks)
    with pytest.raises(KeyError):
        answers.replies(b"\x00")
    monkeypatch.setattr(connections, "load_toml", _two_lines)
    with pytest.raises(AssertionError, match="no problem of the file"):
        texts.settings(b"")
    monkeypatch.setattr(downloads, "allow", lambda *_: None)
    with pytest.raises(AssertionError, match=r"to 'evil\.test'"):
        texts.urls(b"https://evil.test/")


def test_a_partial_file_that_is_accepted_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzzer detects a 206 without a range as a file, an endless pause, and an error in escapes."""
    monkeypatch.setattr(downloads, "not_whole", lambda _: None)
    with pytest.raises(AssertionError, match="a part is a file"):
        headers.headers(b"\x01\x00" + END + b"half")
    monkeypatch.setattr(replies, "LONGEST_PAUSE", -1.0)
    with pytest.raises(AssertionError, match="a pause of"):
        headers.headers(b"\x05\x007\n" + END)
    monkeypatch.undo()
    monkeypatch.setattr(replies, "line", lambda text, *_: text)
    with pytest.raises(AssertionError, match="not printable"):
        headers.headers(b"\x03\x00" + END + b'{"message": "\\u001b[31m"}')


def test_only_fuzzing_needs_atheris() -> None:
    """The targets run without the fuzzer, which has its own environment."""
    assert importlib.util.find_spec("atheris") is None
