"""Typed values, if they are unambiguous; confidences, scores and times as vendors write them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier.http import decode
from dossier.result import Amount, FieldValue
from dossier.revisions import answer_digest
from dossier.values import as_text, confidence_of, epoch, field, meaning, score_of


@pytest.mark.parametrize(
    ("text", "kind", "typed"),
    [
        ("4,200.00", "number", "4200.00"),
        ("4.200,00", "number", "4200.00"),
        ("1 234,56", "number", "1234.56"),
        ("1\u202f234,56", "number", "1234.56"),
        ("1,234,567", "number", "1234567"),
        ("12,34,567.89", "number", "1234567.89"),
        ("1,234", "text", None),
        ("1.234", "text", None),
        ("1 234", "text", None),
        ("12,50", "text", None),
        ("1.234.567", "text", None),
        ("0.123", "number", "0.123"),
        ("12345.678", "number", "12345.678"),
        (" -17.5 ", "number", "-17.5"),
        ("10045", "number", "10045"),
        ("007", "text", None),
        ("+44 20 7946 0958", "text", None),
        ("(4,200.00)", "text", None),
        ("1e5", "text", None),
        ("31%", "text", None),
        ("1_000", "text", None),
        ("\u0663", "text", None),
        ("NaN", "text", None),
        ("2025-01-15", "date", "2025-01-15"),
        ("2025-02-30", "text", None),
        ("2024-11-15T14:23:01Z", "date", "2024-11-15T14:23:01Z"),
        ("2024-11-15T14:23:01+02:00", "date", "2024-11-15T14:23:01+02:00"),
        ("03/04/2025", "text", None),
        ("03.04.2025", "text", None),
        ("15/07/2025", "date", "2025-07-15"),
        ("07/15/2025", "date", "2025-07-15"),
        ("04/04/2025", "date", "2025-04-04"),
        ("15/13/2025", "text", None),
        ("03/04/25", "text", None),
        ("20250115", "text", None),
        ("15 November 2024", "date", "2024-11-15"),
        ("Nov 15, 2024", "date", "2024-11-15"),
        ("1st Sept. 2024", "date", "2024-09-01"),
        ("15-Nov-2024", "date", "2024-11-15"),
        ("Nov-15-2024", "date", "2024-11-15"),
        ("15th of November 2024", "date", "2024-11-15"),
        ("Friday, 15 November 2024", "date", "2024-11-15"),
        ("2024/11/15", "date", "2024-11-15"),
        ("2024.11.15", "date", "2024-11-15"),
        ("2024/03/04", "text", None),
        ("2024/15/11", "text", None),
        ("15-Nov-24", "text", None),
        ("\u22125.00", "number", "-5.00"),
        ("12\u2019345.67", "number", "12345.67"),
        ("November 2024", "text", None),
        ("15 Brumaire 2024", "text", None),
        ("true", "boolean", True),
        ("False", "boolean", False),
        ("yes", "text", None),
        ("1", "number", "1"),
        ("Acme Corp", "text", None),
        ("", "text", None),
        ("9" * 65, "text", None),
    ],
)  # fmt: skip
def test_only_an_unambiguous_text_is_typed(text: str, kind: str, typed: object) -> None:
    """Numbers, dates and booleans are read in one way or not at all."""
    assert meaning(text) == (kind, typed)


@pytest.mark.parametrize(
    ("text", "amount", "currency", "symbol"),
    [
        ("£142.00", "142.00", None, "£"),
        ("$ 4,200.00", "4200.00", None, "$"),
        ("€142", "142", "EUR", "€"),
        ("142,00 €", "142.00", "EUR", "€"),
        ("USD 4,200.00", "4200.00", "USD", None),
        ("4.200,00 EUR", "4200.00", "EUR", None),
        ("US$5", "5", "USD", "US$"),
        ("-£5.00", "-5.00", None, "£"),
        ("\u2212£5.00", "-5.00", None, "£"),
        ("CHF 1\u2019234.50", "1234.50", "CHF", None),
        ("£-5.00", "-5.00", None, "£"),
    ],
)
def test_an_amount_has_its_currency(text: str, amount: str, currency: str | None, symbol: str | None) -> None:
    """A sign or code beside a number makes money of it; a sign that several currencies have gives no code."""
    assert meaning(text) == ("currency", Amount(amount=amount, currency=currency, symbol=symbol))


@pytest.mark.parametrize("text", ["€ 1.234", "£1,234", "--£5", "-£-5", "XYZ 5", "£", "$5 to $6", "5£6"])
def test_an_amount_in_doubt_is_text(text: str) -> None:
    """Thousands or thousandths, two amounts, no currency: text."""
    assert meaning(text) == ("text", None)


@pytest.mark.rule("docustack document and field values value is a string and stays unchanged")
@pytest.mark.parametrize(
    ("body", "value", "kind", "typed"),
    [
        (b"4200.00", "4200.00", "number", "4200.00"),
        (b"12345678901234567.89", "12345678901234567.89", "number", "12345678901234567.89"),
        (b"1e400", "1e400", "number", "1E+400"),
        (b"1.5E3", "1.5E3", "number", "1500"),
        (b"1e99999999999999999999", "1e99999999999999999999", "number", None),
        (b"-0", "-0", "number", "-0"),
        (b"1" * 300, "1" * 300, "number", None),
        (b"NaN", "NaN", "text", None),
        (b"true", "true", "boolean", True),
        (b"null", None, None, None),
        (b'[1.50, {"a": 2.0}]', '[1.50, {"a": 2.0}]', "text", None),
    ],
)
def test_a_value_stays_as_the_vendor_wrote_it(body: bytes, value: str | None, kind: str | None, typed: object) -> None:
    """No number goes through a float: every digit, exponent and sign is in the result."""
    made = field("k", "K", decode(body, constant=str))
    assert (made.value, made.type) == (value, kind)
    assert made.typed == typed or (
        typed is None and len(body) == 300 and Decimal(str(made.typed)) == Decimal("1" * 300)
    )
    assert FieldValue.model_validate_json(made.model_dump_json()) == made


@pytest.mark.rule("docustack document and field values confidence")
@pytest.mark.parametrize(
    ("body", "read"),
    [
        (b"0.31", 0.31),
        (b'"0.31"', 0.31),
        (b"31", 0.31),
        (b'"31"', 0.31),
        (b'"31%"', 0.31),
        (b'"31 %"', 0.31),
        (b'"0,31"', 0.31),
        (b'"31,5 %"', 0.315),
        (b'"0.5%"', 0.005),
        (b'"%31"', 0.31),
        (b'".31"', 0.31),
        (b"1", 1.0),
        (b"0", 0.0),
        (b"100", 1.0),
    ],
)
def test_a_confidence_is_read_in_every_usual_form(body: bytes, read: float) -> None:
    """A share, percent, text or number, a decimal comma: it is the same confidence."""
    assert confidence_of(decode(body)) == (read, True)
    assert not field("k", "K", "v", confidence=decode(body)).review


@pytest.mark.parametrize(
    "body",
    [
        b'"high"',
        b"-1",
        b"101",
        b"true",
        b"[]",
        b"{}",
        b'"NaN"',
        b"1e400",
        b'"0.3.1"',
        b"-0.5",
        b'"-31%"',
        b'"%31%"',
        b'"%"',
        b"100.5",
        b'"31/100"',
    ],
)
def test_an_unreadable_confidence_needs_review(body: bytes) -> None:
    """An unreadable confidence marks the field, and its number is null."""
    made = field("k", "K", "v", confidence=decode(body))
    assert (made.confidence, made.review) == (None, True)


@pytest.mark.parametrize("value", [None, "", " "])
def test_a_missing_confidence_marks_nothing(value: Any) -> None:
    """Whether a missing one needs review is the connection's setting."""
    assert confidence_of(value) == (None, True)


@given(st.floats() | st.integers() | st.text(max_size=30) | st.text(alphabet="0123456789.,-+e% €£$/:T", max_size=20))
def test_any_value_has_a_meaning(value: Any) -> None:
    """Whatever a vendor writes, a field can be made of it and stored, and a normalized number is one."""
    made = field("k", "K", decode(json.dumps(value).encode(), constant=str), confidence=value)
    made.model_dump_json().encode("utf-8", "replace")
    if made.type == "number" and made.typed is not None:
        assert Decimal(str(made.typed)).is_finite()
    if made.type == "date":
        assert datetime.fromisoformat(str(made.typed))
    assert score_of(value, most=10)[0] is None or 0 <= score_of(value, most=10)[0] <= 10  # type: ignore[operator]
    assert epoch(value) is None or epoch(value).tzinfo is UTC  # type: ignore[union-attr]


def test_text_of_null_is_none() -> None:
    """Null stays null; a text is not touched."""
    assert (as_text(None), as_text(" 1,0 ")) == (None, " 1,0 ")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b'{"a": 12345678901234567.89}', b'{"a": 12345678901234567.88}', False),
        (b'{"a": 1e400}', b'{"a": 1e401}', False),
        (b'{"a": 1e99999999999999999999}', b'{"a": 2e99999999999999999999}', False),
        (b'{"a": 4200.00}', b'{"a": 4200.0}', True),
        (b'{"a": 0.1}', b'{"a": 1e-1}', True),
    ],
)
def test_a_change_beyond_a_floats_digits_is_a_change(one: bytes, other: bytes, same: bool) -> None:
    """Numbers are compared with every digit; another notation is not a change."""
    assert (answer_digest(one) == answer_digest(other)) is same
