"""What a reply means: the vendors share these rules, so they are tested once, for all of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dossier import errors
from dossier.errors import DossierError
from dossier.http import Effect, Reply, Request, decode
from dossier.replies import DEFAULT_PAUSE, LONGEST_PAUSE, fail, message, missing, read, read_object, retry_after
from tests.flows import reply

SAFE = Request("GET", "/cases")
UNSAFE = Request("POST", "/cases", effect=Effect.UNSAFE)
AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def raised(request: Request, answer: Reply, not_performed: tuple[int, ...] = ()) -> DossierError:
    """Return the error that reading a reply raises."""
    with pytest.raises(DossierError) as caught:
        read(request, answer, not_performed=not_performed)
    return caught.value


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


@pytest.mark.parametrize(
    ("status", "safe", "unsafe"),
    [
        (301, errors.VendorRejectedError, errors.VendorRejectedError),
        (400, errors.VendorRejectedError, errors.VendorRejectedError),
        (401, errors.UnauthorizedError, errors.UnauthorizedError),
        (403, errors.UnauthorizedError, errors.UnauthorizedError),
        (404, errors.VendorRejectedError, errors.VendorRejectedError),
        (408, errors.VendorUnavailableError, errors.VendorUnavailableError),
        (409, errors.VendorRejectedError, errors.VendorRejectedError),
        (413, errors.VendorRejectedError, errors.VendorRejectedError),
        (425, errors.VendorUnavailableError, errors.VendorUnavailableError),
        (429, errors.ThrottledError, errors.ThrottledError),
        (500, errors.VendorUnavailableError, errors.OutcomeUnknownError),
        (502, errors.VendorUnavailableError, errors.OutcomeUnknownError),
        (503, errors.VendorUnavailableError, errors.VendorUnavailableError),
        (504, errors.VendorUnavailableError, errors.OutcomeUnknownError),
        (599, errors.VendorUnavailableError, errors.OutcomeUnknownError),
    ],
)
def test_status_says_what_can_be_done(status: int, safe: type[DossierError], unsafe: type[DossierError]) -> None:
    """Only what was certainly not performed may be tried again; what may have been has to be looked up."""
    assert type(raised(SAFE, reply({}, status=status))) is safe
    assert type(raised(UNSAFE, reply({}, status=status))) is unsafe


def test_vendor_can_say_that_a_5xx_performed_nothing() -> None:
    """A vendor whose guide says so turns a 5xx on an upload into one that may be tried again."""
    assert type(raised(UNSAFE, reply({}, status=500), (500,))) is errors.VendorUnavailableError
    assert type(raised(UNSAFE, reply({}, status=502), (500,))) is errors.OutcomeUnknownError


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
    """A 200 whose body says otherwise is what its body says."""
    assert type(raised(UNSAFE, reply({key: inner, "message": "no"}))) is wanted


@pytest.mark.parametrize("body", [{"status": "fail"}, {"status": "error", "status_code": 200}])
def test_failing_word_in_the_body_is_a_refusal(body: dict[str, object]) -> None:
    """An envelope that says ``fail`` is a refusal, even where its code says 200."""
    error = raised(SAFE, reply(body))
    assert isinstance(error, errors.VendorRejectedError)
    assert error.status == 400


@pytest.mark.parametrize(
    "body",
    [{"status": "error"}, {"status": "failed"}, {"status_code": True}, {"status_code": "500"}, {"status_code": 200}],
)
def test_state_of_a_case_is_no_refusal(body: dict[str, object]) -> None:
    """A case whose own status is ``error`` was read all the same (Ombudsman, "Case Status Progression")."""
    assert read(SAFE, reply(body)) == body


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"{", b"\xff", b"[" * 100_000])
def test_unreadable_success_is_never_taken_for_one(body: bytes) -> None:
    """Of a safe request it is a hiccup; of one that changes something it is in doubt."""
    assert type(raised(SAFE, reply(body))) is errors.VendorUnavailableError
    assert type(raised(UNSAFE, reply(body))) is errors.OutcomeUnknownError


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"text"'])
def test_object_is_asked_for(body: bytes) -> None:
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
def test_what_the_vendor_says_is_one_line(body: object, said: str) -> None:
    """Each vendor's way to say what is wrong becomes one short line without control characters."""
    assert message(reply(body)) == said


def test_pause_is_carried_by_the_error() -> None:
    """A 429 carries its pause for whoever waits."""
    with pytest.raises(errors.ThrottledError) as caught:
        fail(SAFE, reply(status=429, headers={"retry-after": "9"}), status=429)
    assert caught.value.retry_after == 9


def test_half_an_emoji_is_replaced() -> None:
    """A text that a vendor cut inside a surrogate pair can still be stored; whole pairs stay what they are."""
    assert decode(b'{"title": "cut \\ud83d", "whole": "\\ud83d\\ude42"}') == {"title": "cut ?", "whole": "🙂"}


def test_byte_order_mark_is_no_problem() -> None:
    """A body that begins with a byte order mark is JSON all the same."""
    assert decode(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
