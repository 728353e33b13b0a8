"""The contract that every vendor's adapter keeps, driven by recordings: no vendor is named here.

A vendor contributes ``events/vendors/<vendor>/suite.json`` (see :class:`Recordings`) and the bodies it names, which lie
beside it. Each *exchange* there is one call of the port, the replies it gets, and what comes of it. The checks then
replay every exchange as recorded, and again with each of its replies turned into what networks, proxies and new
versions of an API turn replies into. ``docs/adding-a-vendor.md`` says how to write one.
"""

from __future__ import annotations

import ast
import base64
import copy
import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from dossier import errors, vendors
from dossier.errors import DossierError
from dossier.http import Effect, Reply, Request
from dossier.models import Document, OptionValue
from dossier.ports import Artifact, CaseView, Found, Intent, Progress, Seen, Uploaded, Vendor
from dossier.settings import Connection
from tests.flows import EVENTS, document, drive, reply

Call = Literal[
    "headers", "validate", "batches", "open", "find_opened", "before_upload", "listed", "upload", "find_uploaded",
    "poll_documents", "poll_results", "process", "artifacts", "locate", "finish", "created", "check",
    "read_result", "read_hint",
]  # fmt: skip
PLAIN_CALLS = {"headers", "validate", "batches", "read_result", "read_hint"}
"""Calls that make no request."""
LOOKING_CALLS = {
    "find_opened", "before_upload", "listed", "find_uploaded", "poll_documents", "poll_results", "artifacts", "locate",
    "created", "check",
}  # fmt: skip
"""Calls that may change nothing at the vendor."""
UNKEPT_CALLS = {"open", "find_opened", "process", "created", "check"}
"""Calls whose answers cannot be kept: who makes them may not write raw answers (``infra/functions.py``)."""

MOST_REQUESTS = 200
"""A flow that asks for more than this of replies that repeat does not end."""
TOMORROW = "a_status_of_tomorrow"


class Recorded(BaseModel):
    """Base of the models of ``suite.json``: a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DocumentSpec(Recorded):
    """A document of an exchange's case; its index is its place in the list."""

    name: str
    size: int = 11
    content_type: str = "application/pdf"
    document_id: str | None = None
    job_id: str | None = None
    ref: str | None = None
    status: str | None = None
    failed: bool = False
    error: str | None = None


class CaseSpec(Recorded):
    """The case that an exchange is about."""

    reference: str = "R-1"
    case_id: str | None = None
    documents: tuple[DocumentSpec, ...] = ()
    options: dict[str, OptionValue] = Field(default_factory=dict)
    submitted_at: datetime | None = None


class IntentSpec(Recorded):
    """The intent stored before a request whose answer was lost."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    known: frozenset[str] = frozenset()
    rivals: int = 0
    seen: tuple[str, ...] | None = None
    """The account's list before the request."""
    whole: bool = False
    fresh: bool = True
    recorded: dict[str, datetime] = Field(default_factory=dict)
    others: tuple[tuple[str, ...], ...] = ()
    settled: bool = True

    def intent(self) -> Intent:
        """Return the port's own."""
        seen = None if self.seen is None else Seen(self.seen, whole=self.whole, dated=True)
        given = {"rivals": self.rivals, "fresh": self.fresh, "others": self.others, "settled": self.settled}
        return Intent(self.at, self.known, seen=seen, recorded=self.recorded, **given)  # type: ignore[arg-type]


class ArtifactSpec(Recorded):
    """The artifact to locate."""

    name: str
    source: str


class ReplySpec(Recorded):
    """A reply: the file with its body (none: an empty body), its status and headers."""

    file: str | None = None
    status: int = 200
    headers: dict[str, str] = Field(default_factory=dict)


class Exchange(Recorded):
    """One call of the port over recorded replies, and its outcome."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    call: Call
    connection: dict[str, Any] = Field(default_factory=dict)
    """Settings that differ from the suite's own."""
    case: CaseSpec = CaseSpec()
    cases: tuple[CaseSpec, ...] | None = None
    """For ``poll_results`` of several cases at once."""
    batch: tuple[int, ...] | None = None
    """Indices of the documents to upload; all by default."""
    pending: tuple[str, ...] = ()
    intent: IntentSpec = IntentSpec()
    artifact: ArtifactSpec | None = None
    raw: dict[str, str] = Field(default_factory=dict)
    """For ``read_result``: file by the name under which the answer was kept."""
    body: str | None = None
    """For ``read_hint``: the file with the delivery's body."""
    api_key: str | None = None
    """For ``headers``: a key other than the suite's."""
    replies: tuple[str | ReplySpec, ...] = ()
    requests: tuple[dict[str, Any], ...] | None = None
    """The requests, one object each with the keys to compare: method, path, query, json, fields, files (their
    names), effect, keep."""
    gives: Any = None
    """The value as JSON: of an object the keys that are named, of a list every item."""
    raises: str | None = None
    says: str | None = None
    """A part of the error's text."""
    not_performed: tuple[int, ...] = ()
    """Like the suite's, for this call alone (for example a create that bills nothing)."""
    errors: dict[int, str] = Field(default_factory=dict)
    """Errors that statuses raise here instead of the usual ones (an unreadable list is an operator's question)."""
    spares: tuple[int, ...] = ()
    """Numbers of the replies that are about one case alone: trouble with one says nothing of the other cases."""
    unknown_status: bool = True
    """False where a poll ends for another reason than a status, so that an unknown one changes nothing."""

    @property
    def ends_well(self) -> bool:
        """Whether the call returns."""
        return self.raises is None


class Recordings(Recorded):
    """A vendor's ``suite.json``."""

    connection: dict[str, Any]
    """A table of ``connections.toml`` for this vendor."""
    api_key: str
    statuses: tuple[str, ...]
    """Every status that the vendor's guide names, wherever a poll's body has it."""
    not_performed: tuple[int, ...] = ()
    """5xx by which the vendor says, even of an upload, that it did nothing (503 always says so)."""
    rules: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """The rules of ``docs/vendors.md`` that a check shows (``test_vendors.py``), by ``<check>`` or
    ``<exchange>-<check>``."""
    exchanges: tuple[Exchange, ...]


@dataclasses.dataclass(frozen=True)
class Suite:
    """A vendor and its recordings."""

    name: str
    folder: Path

    @cached_property
    def recordings(self) -> Recordings:
        """The vendor's ``suite.json``."""
        return Recordings.model_validate_json((self.folder / "suite.json").read_bytes())

    @property
    def vendor(self) -> Vendor:
        """The adapter of the suite's connection."""
        return vendors.vendor(self.connection())

    def connection(self, changes: Mapping[str, Any] | None = None) -> Connection:
        """Return the suite's connection with some settings changed."""
        data = {"name": "contract", "vendor": self.name, **self.recordings.connection, **(changes or {})}
        return vendors.connection_model(self.name).model_validate(data)

    def exchange(self, name: str) -> Exchange:
        """Return an exchange by its name."""
        return next(each for each in self.recordings.exchanges if each.name == name)

    def body(self, file: str) -> bytes:
        """Return a recorded body."""
        return (self.folder / file).read_bytes()

    def replies(self, exchange: Exchange) -> list[Reply]:
        """Return an exchange's replies as recorded."""
        return [self._reply(ReplySpec(file=each) if isinstance(each, str) else each) for each in exchange.replies]

    def _reply(self, spec: ReplySpec) -> Reply:
        kind = "text/html" if (spec.file or "").endswith(".html") else "application/json"
        body = self.body(spec.file) if spec.file else b""
        return Reply(spec.status, body, {"content-type": kind, **{k.lower(): v for k, v in spec.headers.items()}})

    def case(self, exchange: Exchange, spec: CaseSpec | None = None) -> CaseView:
        """Return the case that an exchange is about, or another one of its connection."""
        spec = spec or exchange.case
        return CaseView(
            connection=self.connection(exchange.connection),
            reference=spec.reference,
            options=spec.options,
            case_id=spec.case_id,
            documents=tuple(_document(number, each) for number, each in enumerate(spec.documents)),
            submitted_at=spec.submitted_at,
        )

    def run(
        self,
        exchange: Exchange,
        replies: Sequence[Reply] | Callable[[Request], Reply | Exception],
        *,
        seen: list[Request] | None = None,
        raw: Mapping[str, bytes] | None = None,
        body: bytes | None = None,
        case: CaseView | None = None,
    ) -> Any:
        """Make an exchange's call and return its value; what is given replaces what was recorded."""
        case = case or self.case(exchange)
        batch = exchange.batch if exchange.batch is not None else tuple(each.index for each in case.documents)
        intent = exchange.intent.intent()
        method = getattr(vendors.vendor(case.connection), exchange.call)
        if exchange.call == "read_result":
            kept = {name: self.body(file) for name, file in exchange.raw.items()}
            return method(case, kept if raw is None else raw)
        if exchange.call == "read_hint":
            assert exchange.body is not None or body is not None, "read_hint needs a body"
            return method(self.body(exchange.body or "") if body is None else body)
        if exchange.call == "headers":
            return method(self.recordings.api_key if exchange.api_key is None else exchange.api_key)
        cases = [self.case(exchange, each) for each in exchange.cases] if exchange.cases else [case]
        arguments: dict[str, tuple[Any, ...]] = {
            "find_opened": (case, intent),
            "before_upload": (case, batch),
            "upload": (case, batch),
            "find_uploaded": (case, batch, intent),
            "poll_documents": (case, exchange.pending),
            "poll_results": (cases,),
            "listed": (),
            "created": (intent.at, intent.recorded),
            "check": (),
        }
        if exchange.call == "locate":
            assert exchange.artifact is not None, "locate needs an artifact"
            arguments["locate"] = (case, Artifact(exchange.artifact.name, exchange.artifact.source))
        made = method(*arguments.get(exchange.call, (case,)))
        return made if exchange.call in PLAIN_CALLS else drive(made, replies, seen=seen).value

    def spoilt(self, exchange: Exchange, number: int, instead: Reply) -> tuple[Any, DossierError | None]:
        """Run an exchange with one reply replaced; the last one repeats. Return its value, or the error it raised."""
        recorded = self.replies(exchange)
        recorded[number] = instead
        asked: list[Request] = []

        def answer(_: Request) -> Reply:
            assert len(asked) <= MOST_REQUESTS, f"{exchange.name} does not end when reply {number} is {instead}"
            return recorded[min(len(asked), len(recorded)) - 1]

        try:
            return self.run(exchange, answer, seen=asked), None
        except DossierError as error:
            return None, error

    def effects(self, exchange: Exchange) -> list[Effect]:
        """Return what repeating each of an exchange's requests does."""
        asked: list[Request] = []
        self.run(exchange, self.replies(exchange), seen=asked)
        return [each.effect for each in asked]


def load(name: str, folder: Path | None = None) -> Suite:
    """Return a vendor's suite.

    Raises:
        OSError, ValueError: it has none, or its ``suite.json`` is not one.

    """
    suite = Suite(name, folder or EVENTS / name)
    names = [each.name for each in suite.recordings.exchanges]
    assert len(names) == len(set(names)), f"two exchanges of {name} have one name"
    return suite


def _document(number: int, spec: DocumentSpec) -> Document:
    made = document(index=number, **spec.model_dump())
    return made.model_copy(update={"key": ""}) if spec.ref else made


# --- checks of one exchange ------------------------------------------------------------------------------------------


def as_recorded(suite: Suite, exchange: Exchange) -> None:
    """The call asks what was recorded and gives what was recorded, as often as it is made."""
    for _ in range(2):
        asked: list[Request] = []
        try:
            value = suite.run(exchange, suite.replies(exchange), seen=asked)
        except DossierError as error:
            assert type(error).__name__ == exchange.raises, f"raised {error!r}"
            assert (exchange.says or "") in str(error)
            assert "\n" not in str(error), "an error is one line"
        else:
            _answers_for_each_document(suite, exchange, value)
            assert exchange.ends_well, f"gave {plain(value)} where it should raise {exchange.raises}"
            assert differences(exchange.gives, plain(value)) == []
        if exchange.requests is not None:
            assert differences(list(exchange.requests), [request_as_json(each) for each in asked]) == []


def well_formed_requests(suite: Suite, exchange: Exchange) -> None:
    """The transport can send the requests, their effects are declared correctly, and they never contain the key."""
    asked: list[Request] = []
    try:
        suite.run(exchange, suite.replies(exchange), seen=asked)
    except DossierError as error:
        assert type(error).__name__ == exchange.raises, f"raised {error!r}"
    for each in asked:
        assert re.fullmatch(r"/[!-~]+", each.path), f"not a path: {each.path!r}"
        assert not re.search(r"[?#]|/\.\.?(/|$)", each.path), f"not a plain path: {each.path!r}"
        assert suite.recordings.api_key not in repr(each), "the key goes by header alone"
        assert each.keep is None or re.fullmatch(r"[a-z0-9][A-Za-z0-9._-]*", each.keep), f"not a name: {each.keep!r}"
        assert each.keep is None or exchange.call not in UNKEPT_CALLS, f"{exchange.call} can keep nothing: {each}"
        assert each.json is None or not (each.fields or each.files), "a body is JSON or a form"
        assert not (each.method == "GET" and each.effect is Effect.UNSAFE), "a GET is safe"
        assert not (each.files and each.effect is Effect.SAFE), "an upload is not safe to repeat"
        if exchange.call in LOOKING_CALLS:
            assert each.effect is Effect.SAFE, f"{exchange.call} must change nothing: {each}"
        for part in each.files:
            assert part.key, f"{part.filename} has no key to be read from"


def documented_errors(suite: Suite, exchange: Exchange) -> None:
    """Every error status, in the status line or in the body alone, raises the error that says what can be done.

    A status that is not in the vendor's own form is a gateway's: it fails nothing, and proves nothing.
    """
    for number, effect in enumerate(suite.effects(exchange)):
        for status, wanted in _statuses(suite, exchange, effect).items():
            text = {"message": "no", "detail": "no", "error_code": "NO"}
            refusal = {"status_code": status, "statusCode": status, **text}
            stray = _stray(effect) if status in {400, 401, 403, 422} else wanted
            for instead, error_type in (
                (reply(refusal, status=status, headers={"retry-after": "7"}), wanted),
                (reply("<html><body>no</body></html>", status=status, headers={"retry-after": "7"}), stray),
                (reply(b"", status=status, headers={"retry-after": "7"}), stray),
                (reply({**refusal, "status": "fail"}, headers={"retry-after": "7"}), wanted),
            ):
                value, error = suite.spoilt(exchange, number, instead)
                if number in exchange.spares and error is None:
                    assert error_type is not errors.UnauthorizedError
                    stopped = isinstance(value, Found) and value.rest is not None
                    assert (
                        stopped
                        if error_type is errors.ThrottledError
                        else not all(each.finished for each in _progress(value))
                    )
                    continue
                unanswerable = exchange.call == "find_uploaded" and wanted is errors.VendorRejectedError
                if unanswerable and isinstance(error, errors.NeedsAttentionError):
                    continue  # a look-up that the vendor refuses cannot tell: an operator may be asked instead
                assert type(error) is error_type, f"{instead} as reply {number} gave {value!r}, {error!r}"
                assert not isinstance(error, errors.ThrottledError) or error.retry_after == 7
                assert "\n" not in str(error)


def stray_statuses(suite: Suite, exchange: Exchange) -> None:
    """A status that a gateway may have made is not a verdict, in whatever form: neither absence, nor a refusal."""
    for number, effect in enumerate(suite.effects(exchange)):
        for status in (302, 307, 404, 405, 409, 421, 423, 499):
            phrase = {"statusCode": status, "status_code": status, "message": "Not Found", "detail": "Not Found"}
            for instead in (reply("<html>no</html>", status=status), reply(phrase, status=status)):
                value, error = suite.spoilt(exchange, number, instead)
                if exchange.call == "check" or number in exchange.spares:
                    assert error is None or isinstance(error, DossierError)
                elif isinstance(error, errors.NeedsAttentionError):
                    assert exchange.call == "find_uploaded", f"{instead} as reply {number} asks {error!r}"
                else:
                    assert type(error) is _stray(effect), f"{instead} as reply {number} gave {value!r}, {error!r}"


def _stray(effect: Effect) -> type[DossierError]:
    return errors.OutcomeUnknownError if effect is Effect.UNSAFE else errors.StrayAnswerError


def _statuses(suite: Suite, exchange: Exchange, effect: Effect) -> dict[int, type[DossierError]]:
    lost: type[DossierError] = errors.OutcomeUnknownError if effect is Effect.UNSAFE else errors.VendorUnavailableError
    table: dict[int, type[DossierError]] = {
        400: errors.VendorRejectedError,
        401: errors.UnauthorizedError,
        403: errors.UnauthorizedError,
        422: errors.VendorRejectedError,
        429: errors.ThrottledError,
        500: lost,
        502: lost,
        503: errors.ThrottledError,  # all of them say when to come back
        504: lost,
    }
    not_performed = (*suite.recordings.not_performed, *exchange.not_performed)
    return table | dict.fromkeys(not_performed, errors.VendorUnavailableError)


UNREADABLE = (
    reply("<!DOCTYPE html><html><body>Sign in</body></html>"),
    reply(b'{"status": "success", "data": {'),
    reply(b""),
    reply(b"\xff\xfe\xfd"),
    reply(b"[" * 100_000),
    reply(b'{"n": ' + b"9" * 10_000 + b"}"),
)
ODD = (b"null", b"[]", b"{}", b'"text"', b"1", b"true", b"[[]]", b'{"data": []}', b'{"data": null}', b"[null, 1, {}]")


def unreadable_answers(suite: Suite, exchange: Exchange) -> None:
    """A success that is not JSON, and any JSON but the one expected, is a named error and never "not performed"."""
    for number, effect in enumerate(suite.effects(exchange)):
        for instead in UNREADABLE:
            value, error = suite.spoilt(exchange, number, instead)
            if error is None:
                assert exchange.call in {"process", "finish"} or number in exchange.spares, f"{instead} gave {value!r}"
            elif effect is Effect.UNSAFE:
                assert type(error) is errors.OutcomeUnknownError, f"{instead} raised {error!r}"
            else:
                assert isinstance(error, (errors.VendorUnavailableError, errors.MalformedAnswerError)), f"{error!r}"
        for odd in ODD:
            _holds(suite, exchange, number, effect, reply(odd))


def changed_answers(suite: Suite, exchange: Exchange) -> None:
    """Without any one key, or with it of another type, an answer is read as far as it goes or raises a named error."""
    for number, effect in enumerate(suite.effects(exchange)):
        recorded = suite.replies(exchange)[number]
        if not 200 <= recorded.status < 300:
            continue
        for changed in changes(json.loads(recorded.body)):
            _holds(suite, exchange, number, effect, reply(changed, headers=recorded.headers))


def extra_keys(suite: Suite, exchange: Exchange) -> None:
    """Keys that a later version adds anywhere in an answer change nothing."""
    usual = plain(suite.run(exchange, suite.replies(exchange)))
    for number, recorded in enumerate(suite.replies(exchange)):
        if 200 <= recorded.status < 300:
            later = reply(with_extra_keys(json.loads(recorded.body)), headers={"x-new": "1"})
            value, error = suite.spoilt(exchange, number, later)
            assert error is None, f"raised {error!r}"
            assert plain(value) == usual


def unknown_statuses(suite: Suite, exchange: Exchange) -> None:
    """A status that the guide does not name is reported; the case is neither finished nor failed."""
    for number, recorded in enumerate(suite.replies(exchange)):
        if number in exchange.spares:
            continue
        body = json.loads(recorded.body)
        changed = with_status(body, set(suite.recordings.statuses), TOMORROW)
        assert changed != body, f"{exchange.name}: no status of the suite's `statuses` in reply {number}"
        value, error = suite.spoilt(exchange, number, reply(changed))
        assert error is None, f"raised {error!r}"
        touched = [each for each in _progress(value) if each.unknown]
        assert touched, f"{TOMORROW} is not reported in {value!r}"
        for each in touched:
            assert TOMORROW in each.unknown
            assert not each.finished
            assert not each.failed


def _progress(value: Progress | Mapping[str, Progress]) -> list[Progress]:
    return [value] if isinstance(value, Progress) else list(value.values())


def _holds(suite: Suite, exchange: Exchange, number: int, effect: Effect, instead: Reply) -> None:
    value, error = suite.spoilt(exchange, number, instead)
    if error is None:
        json.dumps(plain(value), ensure_ascii=False).encode()
        _answers_for_each_document(suite, exchange, value)
    elif effect is Effect.UNSAFE:
        fits = isinstance(error, (errors.OutcomeUnknownError, errors.NeedsAttentionError))
        assert fits, f"{instead.body!r} says that it was performed, but raised {error!r}"


def _answers_for_each_document(suite: Suite, exchange: Exchange, value: Any) -> None:
    """Assert that an upload reports the outcome of each document: one without an id would be sent once more."""
    if exchange.call in {"upload", "find_uploaded"} and isinstance(value, Uploaded):
        sent = exchange.batch if exchange.batch is not None else range(len(exchange.case.documents))
        silent = set(sent) - {*value.document_ids, *value.failures}
        assert not silent, f"nothing is said of documents {sorted(silent)} in {value!r}"


def kept_answers(suite: Suite, exchange: Exchange) -> None:
    """Whatever was kept, or was not kept, a result can be built from it and stored."""
    kept = {name: suite.body(file) for name, file in exchange.raw.items()}
    usual = plain(suite.run(exchange, (), raw=kept))
    for name, body in kept.items():
        decoded = json.loads(body)
        later = json.dumps(with_extra_keys(decoded)).encode()
        assert plain(suite.run(exchange, (), raw={**kept, name: later})) == usual
        spoilt = [each.body for each in UNREADABLE] + list(ODD) + [b'"\\ud83d"']
        spoilt += [json.dumps(each).encode() for each in changes(decoded)]
        for each in spoilt:
            suite.run(exchange, (), raw={**kept, name: each}).model_dump_json().encode()
        rest = {key: value for key, value in kept.items() if key != name}
        suite.run(exchange, (), raw=rest).model_dump_json().encode()
    suite.run(exchange, (), raw={}).model_dump_json().encode()


def hostile_deliveries(suite: Suite, exchange: Exchange) -> None:
    """A delivery changed in any place names ids that are plain text, or nothing, and never raises."""
    body = suite.body(exchange.body or "")
    spoilt = [each.body for each in UNREADABLE] + list(ODD)
    try:
        spoilt += [json.dumps(each).encode() for each in changes(json.loads(body))]
    except ValueError:
        spoilt.append(body)
    for each in spoilt:
        _plain_hint(suite.vendor, each)


def _plain_hint(vendor: Vendor, body: bytes) -> None:
    hint = vendor.read_hint(body)
    if hint is not None:
        ids = [*hint.case_ids, *hint.document_ids, *hint.job_ids]
        assert ids, "a hint that names nothing is None"
        assert all(isinstance(each, str) and each.isprintable() and each for each in ids), ids
        assert isinstance(hint.event, str)
        assert 0 < len(hint.event) <= 100
        json.dumps(plain(hint), ensure_ascii=False).encode()


# --- checks of a vendor ----------------------------------------------------------------------------------------------


def declares_itself(suite: Suite) -> None:
    """The adapter's own description is complete: its folder's name, phases in order, limits and types."""
    vendor = suite.vendor
    assert vendor.name == suite.name
    assert vendor.phases in (("documents",), ("results",), ("documents", "results"))
    assert vendor.max_document_bytes > 0
    assert vendor.media_types
    assert all(re.fullmatch(r"[a-z]+/[a-z0-9.+-]+", each) for each in vendor.media_types)
    flags = (vendor.opens_case, vendor.accepts_references, vendor.bulk_poll, vendor.lists)
    assert all(type(each) is bool for each in flags)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", name) and paths for name, paths in vendor.documented.items())


def records_every_call(suite: Suite) -> None:
    """There is an exchange for every call that the steps make of this vendor."""
    vendor = suite.vendor
    needed = {"headers", "validate", "batches", "before_upload", "upload", "find_uploaded", "artifacts", "locate"}
    needed |= {"finish", "check", "read_result", "read_hint"}
    needed |= {"open", "find_opened"} if vendor.opens_case else set()
    needed |= {f"poll_{each}" for each in vendor.phases}
    needed |= {"created", "listed"} if vendor.lists else set()
    needed |= {"process"} if len(vendor.phases) == 2 else set()
    recorded = {each.call for each in suite.recordings.exchanges}
    assert needed <= recorded, f"no exchange for {sorted(needed - recorded)}"


def refuses_unusable_keys(suite: Suite) -> None:
    """The key is one header's value; one that is empty, or that no header can carry, is a configuration error."""
    headers = suite.vendor.headers(suite.recordings.api_key)
    assert [each for each in headers.values() if suite.recordings.api_key in each] == [suite.recordings.api_key]
    for wrong in ("", " ", "key\r\nx-other: 1", "ключ"):
        try:
            suite.vendor.headers(wrong)
        except errors.ConfigurationError as error:
            assert wrong.strip() == "" or wrong not in str(error), "an error never shows a key"
        else:
            raise AssertionError(f"the key {wrong!r} was taken")


def knows_its_options(suite: Suite) -> None:
    """``case_title`` is an option of every vendor; an unknown option is refused in one line that names it."""
    case = _case_of(suite, [document()])
    suite.vendor.validate(dataclasses.replace(case, options={"case_title": "Köln · №7"}))
    try:
        suite.vendor.validate(dataclasses.replace(case, options={"no_such_option": 1}))
    except errors.InvalidCaseError as error:
        assert "no_such_option" in str(error)
        assert "\n" not in str(error)
    else:
        raise AssertionError("an unknown option was taken")


NAMES = ("Rechnung №7 · Köln.pdf", "请求.pdf", "same.pdf", "same.pdf", 'quote"; x=".pdf', "🙂.pdf", "../../etc/passwd")


def uploads_each_document_once(suite: Suite) -> None:
    """Each document, however large, is in exactly one upload request, in order."""
    most = suite.vendor.max_document_bytes
    for sizes in ([], [0], [most], [1, 0, most, most + 1], [most] * 9):
        documents = [document("same.pdf", index=number, size=size) for number, size in enumerate(sizes)]
        case = _case_of(suite, documents)
        batches = suite.vendor.batches(case)
        assert [index for batch in batches for index in batch] == list(range(len(sizes)))
        assert all(batches)
        assert suite.vendor.uploads_at_once(case) >= 1


def sends_names_as_they_are(suite: Suite) -> None:
    """Names in every script, two of one name, and empty files reach the vendor unchanged, each from its own key."""
    exchange = next(
        each for each in suite.recordings.exchanges if each.call == "upload" and each.ends_well and _has_files(each)
    )
    recorded = suite.case(exchange)
    template = recorded.documents[0]
    documents = [
        template.model_copy(update={"index": number, "name": name, "key": f"documents/{number}", "size": number})
        for number, name in enumerate(NAMES)
    ]
    case = dataclasses.replace(recorded, documents=tuple(documents))
    sent: list[tuple[str, str, int]] = []
    for batch in suite.vendor.batches(case):
        asked: list[Request] = []
        one = exchange.model_copy(update={"batch": tuple(batch)})
        with suppress(DossierError):  # the recorded answer is about other names
            suite.run(one, suite.replies(one), seen=asked, case=case)
        sent += [(part.filename, part.key, part.size) for each in asked for part in each.files]
    assert sent == [(each.name, each.key, each.size) for each in documents]


def _has_files(exchange: Exchange) -> bool:
    return bool(exchange.case.documents) and not any(each.ref for each in exchange.case.documents)


def imports_inward_only(suite: Suite) -> None:
    """An adapter imports the standard library, pydantic and Dossier's inside: no I/O, no other vendor."""
    (place,) = {Path(each) / suite.name for each in vendors.__path__ if (Path(each) / suite.name).is_dir()}
    files = sorted(place.rglob("*.py"))
    assert files
    for file in files:
        for module in _imported(ast.parse(file.read_text())):
            assert module.partition(".")[0] not in FORBIDDEN, f"{file.name} imports {module}"
            if module.startswith("dossier."):
                inside = module.startswith((f"dossier.vendors.{suite.name}", *INSIDE))
                assert inside, f"{file.name} imports {module}"


FORBIDDEN = {
    "httpx", "boto3", "botocore", "requests", "urllib3", "socket", "ssl", "http", "asyncio", "subprocess", "os",
    "time", "threading", "aws_lambda_powertools",
}  # fmt: skip
INSIDE = tuple(
    f"dossier.{each}"
    for each in (
        "clocks",
        "errors",
        "http",
        "models",
        "settings",
        "ports",
        "result",
        "replies",
        "media",
        "operations",
        "options",
        "deliveries",
        "slices",
        "values",
        "alike",
        "lost",
        "stamps",
    )
)


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            if node.module == "dossier.vendors":
                yield from (f"dossier.vendors.{each.name}" for each in node.names)
            elif node.module == "dossier":
                yield from (f"dossier.{each.name}" for each in node.names)
            else:
                yield node.module or ""


def reads_any_delivery(suite: Suite) -> None:
    """Any bytes at all, and any JSON under the keys that deliveries use, are a hint or nothing, and never raise."""
    words = sorted(_keys_of_deliveries(suite))
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(words)
    values = st.recursive(
        leaves, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(words) | st.text(), inner), max_leaves=8
    )

    @settings(max_examples=100, deadline=None, database=None, derandomize=True, report_multiple_bugs=False)
    @given(st.binary() | values.map(lambda value: json.dumps(value).encode()))
    def never_raises(body: bytes) -> None:
        _plain_hint(suite.vendor, body)

    never_raises()


def _packed(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


SHAPES: tuple[tuple[str, Callable[[str, str], Any]], ...] = (
    ("its id", lambda kind, id_: {f"{kind}_id": id_}),
    ("in camel case", lambda kind, id_: {f"{kind}Id": id_}),
    ("by its name alone", lambda kind, id_: {kind: id_}),
    ("an object with an id", lambda kind, id_: {kind: {"id": id_}}),
    ("an object of a document store", lambda kind, id_: {kind: {"_id": id_}}),
    ("a list of ids", lambda kind, id_: {f"{kind}_ids": [id_]}),
    ("a list of objects", lambda kind, id_: {f"{kind}s": [{"id": id_}]}),
    ("a list of objects with named ids", lambda kind, id_: {f"{kind}s": [{f"{kind}_id": id_}]}),
    ("under data", lambda kind, id_: {"data": {f"{kind}_id": id_}}),
    ("an object that says what it is", lambda kind, id_: {"data": {"object": kind, "id": id_}}),
    (
        "an event around such an object",
        lambda kind, id_: {"id": "evt_1", "data": {"object": {"object": kind, "id": id_}}},
    ),
    ("in Pascal case", lambda kind, id_: {f"{kind.capitalize()}Id": id_}),
    ("in capital letters", lambda kind, id_: {f"{kind.upper()}_ID": id_}),
    ("with a hyphen", lambda kind, id_: {f"{kind}-id": id_}),
    ("a UUID", lambda kind, id_: {kind: {"uuid": id_}}),
    ("an object of an exported store", lambda kind, id_: {kind: {"_id": {"$oid": str(id_)}}}),
    ("details", lambda kind, id_: {f"{kind}Details": {"id": id_}}),
    ("ids with commas", lambda kind, id_: {f"{kind}_ids": f"{id_}"}),
    ("a plural that says what it is", lambda kind, id_: {"data": {"type": f"{kind}s", "id": id_}}),
    ("an entity and its id", lambda kind, id_: {"entity_type": kind, "entity_id": id_}),
    ("a record of a table", lambda kind, id_: {"table": f"{kind}s", "record": {"id": id_}}),
    ("an event and its data", lambda kind, id_: {"event": f"{kind}.updated", "id": "evt_1", "data": {"id": id_}}),
    ("an event in Pascal case", lambda kind, id_: {"type": f"{kind.capitalize()}Updated", "object": {"id": id_}}),
    ("JSON in base64", lambda kind, id_: {"message": {"data": _packed({f"{kind}_id": id_})}}),
    ("JSON inside a text", lambda kind, id_: {"payload": json.dumps({f"{kind}_id": id_})}),
    ("JSON as one text", lambda kind, id_: json.dumps({f"{kind}_id": id_})),
)
"""Shapes in which a delivery names what it is about."""


def reads_every_shape(suite: Suite) -> None:
    """A delivery's ids are read in each usual shape, as texts and as numbers, as JSON and as a form."""
    kinds = {"case": "case_ids", "document": "document_ids"} if "results" in suite.vendor.phases else {}
    kinds |= {"document": "document_ids"} if "documents" in suite.vendor.phases else {}
    for kind, found in kinds.items():
        for text, shape in SHAPES:
            for id_ in ("thing__1", 42):
                hint = suite.vendor.read_hint(json.dumps(shape(kind, id_)).encode())  # type: ignore[arg-type]
                assert hint is not None, f"{suite.name} understands nothing of a {kind}: {text}"
                assert getattr(hint, found) == (str(id_),), f"{suite.name}, a {kind}: {text}: {hint}"
        text = json.dumps({f"{kind}_id": "thing__1"})
        for body in (
            urlencode({f"{kind}_id": "thing__1"}).encode(),
            urlencode({"payload": text}).encode(),
            urlencode({f"{kind}[id]": "thing__1"}).encode(),
            urlencode({f"data[{kind}_id]": "thing__1"}).encode(),
            urlencode({f"{kind}_ids[]": "thing__1"}).encode(),
            urlencode({f"{kind}s[0][{kind}_id]": "thing__1"}).encode(),
            f'--x\r\nContent-Disposition: form-data; name="{kind}_id"\r\n\r\nthing__1\r\n--x--\r\n'.encode(),
            f'--x\r\nContent-Disposition: form-data; name="p"\r\n\r\n{text}\r\n--x--\r\n'.encode(),
            f'{{"event": "x"}}\n{text}\n'.encode(),
            f"\ufeff{text}".encode(),
            text.encode("utf-16"),
            text.replace("}", ', "by": "Zo\u00eb"}').encode("latin-1"),
        ):
            hint = suite.vendor.read_hint(body)
            assert hint is not None, f"{suite.name} understands nothing of {body!r}"
            assert getattr(hint, found) == ("thing__1",), body
        twice = suite.vendor.read_hint(f"{kind}_id=a&{kind}_id=b".encode())
        assert twice is not None
        assert getattr(twice, found) == ("a", "b")
    assert suite.vendor.read_hint(b'{"id": "evt_1", "type": "ping"}') is None


def _keys_of_deliveries(suite: Suite) -> Set[str]:
    found = {"data", "case", "case_id", "document_id", "id"}
    for exchange in suite.recordings.exchanges:
        if exchange.body:
            found |= set(re.findall(r'"(\w+)"\s*:', suite.body(exchange.body).decode(errors="replace")))
    return found


def _case_of(suite: Suite, documents: Sequence[Any]) -> CaseView:
    return CaseView(connection=suite.connection(), reference="R-1", documents=tuple(documents))


VENDOR_CHECKS: tuple[Callable[[Suite], None], ...] = (
    declares_itself,
    records_every_call,
    refuses_unusable_keys,
    knows_its_options,
    uploads_each_document_once,
    sends_names_as_they_are,
    imports_inward_only,
    reads_any_delivery,
    reads_every_shape,
)
Check = Callable[[Suite, Exchange], None]


def checks(exchange: Exchange) -> list[Check]:
    """Return the checks that an exchange is put to."""
    if exchange.call == "read_result":
        return [as_recorded, kept_answers]
    if exchange.call == "read_hint":
        return [as_recorded, hostile_deliveries]
    if exchange.call in PLAIN_CALLS:
        return [as_recorded]
    found: list[Check] = [as_recorded, well_formed_requests]
    if exchange.ends_well and exchange.replies:
        found += [documented_errors, stray_statuses, unreadable_answers, changed_answers, extra_keys]
        if exchange.call in {"poll_documents", "poll_results"} and exchange.unknown_status:
            found.append(unknown_statuses)
    return found


# --- values and their changes ----------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """Return a value of the port as JSON."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, datetime):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (Set, Sequence)) and not isinstance(value, (str, bytes)):
        items = [plain(each) for each in value]
        return sorted(items) if isinstance(value, Set) else items
    return value


def request_as_json(request: Request) -> dict[str, Any]:
    """Return a request as ``suite.json`` writes it."""
    return {
        "method": request.method,
        "path": request.path,
        "query": plain(request.query),
        "json": request.json,
        "fields": plain(request.fields),
        "files": [each.filename for each in request.files],
        "file_field": next((each.field for each in request.files), None),
        "effect": request.effect.value,
        "keep": request.keep,
    }


def differences(wanted: Any, got: Any, where: str = "value") -> list[str]:
    """Return where ``got`` is not what is wanted: of an object only the wanted keys count, of a list every item."""
    if isinstance(wanted, dict) and isinstance(got, dict) and wanted:
        found = []
        for key, each in wanted.items():
            inner = f"{where}.{key}"
            found += differences(each, got[key], inner) if key in got else [f"{inner} is missing"]
        return found
    if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        return [
            text for number, each in enumerate(wanted) for text in differences(each, got[number], f"{where}[{number}]")
        ]
    return [] if wanted == got and type(wanted) is type(got) else [f"{where} is {got!r}, not {wanted!r}"]


WRONG: tuple[Any, ...] = (None, {"unexpected": []}, ["unexpected"], "unexpected", -7, 1.5, True, "", "\ud83d cut")


def changes(value: Any) -> Iterator[Any]:
    """Yield a JSON value without one of its keys or items, or with one of another type, one change at a time."""
    for path in _paths(value):
        removed = copy.deepcopy(value)
        parent = _at(removed, path[:-1])
        del parent[path[-1]]
        yield removed
        for wrong in WRONG:
            replaced = copy.deepcopy(value)
            _at(replaced, path[:-1])[path[-1]] = wrong
            yield replaced


def _paths(value: Any, *, most_items: int = 2) -> Iterator[tuple[Any, ...]]:
    children = list(value.items()) if isinstance(value, dict) else []
    children = list(enumerate(value))[:most_items] if isinstance(value, list) else children
    for key, child in children:
        yield (key,)
        yield from ((key, *rest) for rest in _paths(child, most_items=most_items))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def with_extra_keys(value: Any) -> Any:
    """Return a JSON value with a new key in each of its objects."""
    if isinstance(value, dict):
        return {**{key: with_extra_keys(each) for key, each in value.items()}, "a_key_of_tomorrow": {"x": [1]}}
    return [with_extra_keys(each) for each in value] if isinstance(value, list) else value


def with_status(value: Any, known: set[str], new: str) -> Any:
    """Return a JSON value with each known ``status`` replaced."""
    if isinstance(value, dict):
        return {
            key: new if key == "status" and isinstance(each, str) and each in known else with_status(each, known, new)
            for key, each in value.items()
        }
    return [with_status(each, known, new) for each in value] if isinstance(value, list) else value
