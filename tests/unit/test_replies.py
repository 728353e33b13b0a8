"""The meaning of replies: the vendors share these rules, so they are tested once for all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import pytest

from dossier import errors
from dossier.errors import DossierError
from dossier.http import Effect, Reply, Request, decode
from dossier.replies import DEFAULT_PAUSE, LONGEST_PAUSE, fail, message, missing, read, read_object, retry_after
from tests.flows import reply

SAFE = Request("GET", "/cases")
UNSAFE = Request("POST", "/cases", effect=Effect.UNSAFE)
FORMS = [
    ("docsumo", {"status_code": 422, "message": "No such field", "error_code": "INVALID"}),
    ("docustack", {"detail": "No such field"}),
    ("ombudsman", {"statusCode": 422, "message": ["No such field"]}),
]
"""How each vendor words a refusal."""
guides = {name: import_module(f"dossier.vendors.{name}.guide") for name, _ in FORMS}
AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def raised(request: Request, answer: Reply, not_performed: tuple[int, ...] = ()) -> DossierError:
    """Return the error that reading a reply raises."""
    with pytest.raises(DossierError) as caught:
        read(request, answer, not_performed=not_performed)
    return caught.value


@pytest.mark.rule("docsumo notes, ids and answers Retry-After", case="7-7.0")
@pytest.mark.rule("docsumo notes, ids and answers Retry-After", case="Sat, 31 Jan 2026 12:00:30 GMT-30.0")
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 2.5 ", 2.5),
        ("86400", LONGEST_PAUSE),
        ("Sat, 31 Jan 2026 12:00:30 GMT", 30.0),
        ("Saturday, 31-Jan-26 12:00:30 GMT", 30.0),
        ("Sat Jan 31 12:00:30 2026", 30.0),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0.0),
        ("Sun, 31 Jan 2027 12:00:00 GMT", LONGEST_PAUSE),
        ("", DEFAULT_PAUSE),
        ("-3", DEFAULT_PAUSE),
        ("soon", DEFAULT_PAUSE),
        ("1e9", DEFAULT_PAUSE),
        ("9" * 400, DEFAULT_PAUSE),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float) -> None:
    """A pause is read in every form that RFC 9110 has, and is never negative, endless or left out."""
    assert retry_after(reply(headers={"retry-after": header}), at=AT) == seconds


def test_retry_after_has_a_default() -> None:
    """A 429 that says nothing is a pause too."""
    assert retry_after(reply(), at=AT) == DEFAULT_PAUSE


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_any_2xx_is_a_success(status: int) -> None:
    """A POST may answer 201 where the guide shows 200."""
    assert read(UNSAFE, reply({"id": 1}, status=status)) == {"id": 1}


OWN = {"message": "Schema is not here"}
"""A refusal in the vendor's own words."""
PAGE = "<html><body>We'll be right back</body></html>"
STRAY, UNKNOWN = errors.StrayAnswerError, errors.OutcomeUnknownError


@pytest.mark.parametrize(
    ("status", "safe", "unsafe"),
    [
        (301, STRAY, UNKNOWN),
        (302, STRAY, UNKNOWN),
        (307, STRAY, UNKNOWN),
        (400, errors.VendorRejectedError, errors.VendorRejectedError),
        (401, errors.UnauthorizedError, errors.UnauthorizedError),
        (403, errors.UnauthorizedError, errors.UnauthorizedError),
        (404, STRAY, errors.VendorRejectedError),
        (405, STRAY, UNKNOWN),
        (408, errors.VendorUnavailableError, UNKNOWN),
        (409, STRAY, UNKNOWN),
        (410, errors.VendorRejectedError, errors.VendorRejectedError),
        (413, errors.VendorRejectedError, errors.VendorRejectedError),
        (421, STRAY, UNKNOWN),
        (422, errors.VendorRejectedError, errors.VendorRejectedError),
        (423, STRAY, UNKNOWN),
        (425, errors.VendorUnavailableError, errors.VendorUnavailableError),
        (429, errors.ThrottledError, errors.ThrottledError),
        (460, STRAY, UNKNOWN),
        (499, STRAY, UNKNOWN),
        (500, errors.VendorUnavailableError, errors.OutcomeUnknownError),
        (502, errors.VendorUnavailableError, errors.OutcomeUnknownError),
        (503, errors.VendorUnavailableError, errors.VendorUnavailableError),
        (504, errors.VendorUnavailableError, errors.OutcomeUnknownError),
        (599, errors.VendorUnavailableError, errors.OutcomeUnknownError),
    ],
)
def test_each_status_raises_its_error(status: int, safe: type[DossierError], unsafe: type[DossierError]) -> None:
    """Only a request that was certainly not performed may be retried; any other is looked up."""
    assert type(raised(SAFE, reply(OWN, status=status))) is safe
    assert type(raised(UNSAFE, reply(OWN, status=status))) is unsafe


@pytest.mark.parametrize("body", [PAGE, b"", {}, [], {"message": None}, {"title": "Bad Request"}, b'{"message": "cut'])
@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 405, 409, 421, 422, 423, 451, 499])
def test_status_in_another_form_is_not_a_rejection(status: int, body: object) -> None:
    """A gateway's page fails no case, and does not say that an upload was not performed."""
    assert type(raised(SAFE, reply(body, status=status))) is STRAY
    assert type(raised(UNSAFE, reply(body, status=status))) is UNKNOWN


@pytest.mark.parametrize("status", [411, 413, 414, 431])
def test_a_request_that_was_not_read_was_not_performed(status: int) -> None:
    """A too large body or head is rejected before it is read, by a gateway or the vendor."""
    assert type(raised(UNSAFE, reply(PAGE, status=status))) is errors.VendorRejectedError
    assert type(raised(SAFE, reply(PAGE, status=status))) is STRAY


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"message": "Not Found"}, UNKNOWN),
        ({"message": "not found"}, UNKNOWN),
        ({"message": "Cannot POST /cases"}, UNKNOWN),
        ({"message": "no Route matched with those values"}, UNKNOWN),
        ({"message": ""}, UNKNOWN),
        ({"message": "Case type not found"}, errors.VendorRejectedError),
    ],
)
def test_404_to_an_upload_is_a_rejection_if_it_names_what_is_missing(body: object, wanted: type[DossierError]) -> None:
    """A router that has no such path, for the moment, says the same as the vendor's own 404, but not in its words."""
    assert type(raised(UNSAFE, reply(body, status=404))) is wanted


@pytest.mark.parametrize(("vendor", "form"), FORMS)
@pytest.mark.parametrize("other", FORMS)
def test_each_vendor_has_its_own_form(vendor: str, form: dict[str, object], other: tuple[str, Any]) -> None:
    """JSON with the keys of somebody else is a gateway's, as a page is."""
    request = replace(UNSAFE, refusal=guides[vendor].REFUSAL)
    assert type(raised(request, reply(form, status=422))) is errors.VendorRejectedError
    if not set(form) <= set(other[1]):
        assert type(raised(request, reply({"message": "Unprocessable"}, status=422))) is UNKNOWN
    if other[0] != vendor:
        assert type(raised(request, reply(other[1], status=422))) is UNKNOWN


def test_a_stray_answer_is_described() -> None:
    """The error has the status, and whether the answer is in the vendor's form."""
    own, page = raised(SAFE, reply(OWN, status=404)), raised(SAFE, reply(PAGE, status=404))
    assert isinstance(own, STRAY)
    assert isinstance(page, STRAY)
    assert (own.status, own.worded, page.worded) == (404, True, False)
    assert str(own) == "GET /cases: the vendor refused it (404: Schema is not here)"
    assert str(page) == "GET /cases: the answer is 404, and not in the vendor's form: most likely a gateway's"


def test_a_rejected_key_in_json_is_recognized() -> None:
    """A gateway that holds the vendor's keys refuses one in its own JSON: nothing is in doubt where nothing changes."""
    request = replace(SAFE, refusal=guides["docustack"].REFUSAL)
    assert type(raised(request, reply({"message": "Forbidden"}, status=403))) is errors.UnauthorizedError
    changing = replace(request, effect=Effect.UNSAFE)
    assert type(raised(changing, reply({"message": "Forbidden"}, status=403))) is UNKNOWN


def test_vendor_can_say_that_a_5xx_performed_nothing() -> None:
    """A vendor whose guide says so turns a 5xx on an upload into one that may be tried again."""
    assert type(raised(UNSAFE, reply({}, status=500), (500,))) is errors.VendorUnavailableError
    assert type(raised(UNSAFE, reply({}, status=502), (500,))) is errors.OutcomeUnknownError


@pytest.mark.rule(
    "docsumo notes, ids and answers both the HTTP status and the body's status are checked",
    case="400-VendorRejectedError-status_code",
)
@pytest.mark.parametrize("key", ["status_code", "statusCode"])
@pytest.mark.parametrize(
    ("inner", "wanted"),
    [
        (400, errors.VendorRejectedError),
        (401, errors.UnauthorizedError),
        (429, errors.ThrottledError),
        (500, errors.OutcomeUnknownError),
        (503, errors.VendorUnavailableError),
    ],
)
def test_status_in_the_body_counts_too(key: str, inner: int, wanted: type[DossierError]) -> None:
    """The status in the body overrides a 200."""
    assert type(raised(UNSAFE, reply({key: inner, "message": "no"}))) is wanted


@pytest.mark.parametrize("body", [{"status": "fail"}, {"status": "error", "status_code": 200}])
def test_a_failing_status_in_the_body_is_a_rejection(body: dict[str, object]) -> None:
    """An envelope with ``fail`` is a rejection, even with the code 200."""
    error = raised(SAFE, reply(body))
    assert isinstance(error, errors.VendorRejectedError)
    assert error.status == 400


@pytest.mark.parametrize(
    "body",
    [{"status": "error"}, {"status": "failed"}, {"status_code": True}, {"status_code": "500"}, {"status_code": 200}],
)
def test_a_cases_state_is_not_a_rejection(body: dict[str, object]) -> None:
    """A case whose own status is ``error`` was read all the same (Ombudsman, "Case Status Progression")."""
    assert read(SAFE, reply(body)) == body


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"{", b"\xff", b"[" * 100_000])
def test_an_unreadable_success_is_not_a_success(body: bytes) -> None:
    """Of a safe request it is a hiccup; of one that changes something it is in doubt."""
    assert type(raised(SAFE, reply(body))) is errors.VendorUnavailableError
    assert type(raised(UNSAFE, reply(body))) is errors.OutcomeUnknownError


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"text"'])
def test_read_object_requires_an_object(body: bytes) -> None:
    """JSON of another kind than the guide's is malformed, or in doubt."""
    with pytest.raises(errors.MalformedAnswerError, match="a JSON object was expected"):
        read_object(SAFE, reply(body))
    with pytest.raises(errors.OutcomeUnknownError):
        read_object(UNSAFE, reply(body))


def test_missing_key_is_named() -> None:
    """The error for a key that the guide promises names it, with the request."""
    assert str(missing(SAFE, reply({}), "case_id")) == (
        'GET /cases: the vendor\'s answer (200) cannot be used: it has no "case_id"'
    )
    assert isinstance(missing(SAFE, reply({}), "case_id"), errors.MalformedAnswerError)
    assert isinstance(missing(UNSAFE, reply({}), "case_id"), errors.OutcomeUnknownError)


@pytest.mark.rule("security: send control characters to a terminal or a log")
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"message": "Key expired"}, ": Key expired"),
        ({"detail": "Invalid or missing API key"}, ": Invalid or missing API key"),
        ({"error_message": "timed out"}, ": timed out"),
        ({"message": ["too short", "not a uuid"], "error": "Bad Request"}, ": too short; not a uuid"),
        ({"message": "", "error": "Bad Request"}, ": Bad Request"),
        ({"message": "two\nlines\x1b[31m"}, ": two lines [31m"),
        ({"message": "x" * 400}, ": " + "x" * 300),
        ({"message": None}, ""),
        ([], ""),
        ("<html>502</html>", ""),
    ],
)
def test_a_vendors_message_is_one_line(body: object, said: str) -> None:
    """Each vendor's error text becomes one short line without control characters."""
    assert message(reply(body)) == said


def test_the_error_carries_the_pause() -> None:
    """The error of a 429 has its pause."""
    with pytest.raises(errors.ThrottledError) as caught:
        fail(SAFE, reply(status=429, headers={"retry-after": "9"}), status=429)
    assert caught.value.retry_after == 9


def test_half_an_emoji_is_replaced() -> None:
    """A text that a vendor cut inside a surrogate pair can still be stored; whole pairs are unchanged."""
    assert decode(b'{"title": "cut \\ud83d", "whole": "\\ud83d\\ude42"}') == {"title": "cut ?", "whole": "🙂"}


def test_a_byte_order_mark_is_ignored() -> None:
    """A body that begins with a byte order mark is JSON all the same."""
    assert decode(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
