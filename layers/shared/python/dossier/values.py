"""Interpret vendors' values: keep the text, and add its meaning where that is certain.

A number in ``typed`` is text in plain decimal notation, so that no reader loses a digit; a date is ISO 8601; an amount
has a number and a currency. An ambiguous value (``1,234``, ``03/04/2025``) is text; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import count
from typing import Any, Literal, NamedTuple
from unicodedata import category

from dossier.http import Number, written
from dossier.result import Amount, FieldValue
from dossier.texts import NAME, block, line
from dossier.texts import name as short

Kind = Literal["number", "date", "currency", "boolean", "text"]

LONGEST = 64
"""Longest text, in characters, that is interpreted; longer ones are text."""
_PLAIN = 100
"""Most characters of a number in plain notation; longer ones stay in scientific notation."""
_INTEGER = re.compile(r"-?(0|[1-9]\d*)", re.ASCII)
_GROUPED = re.compile(
    r"(?P<sign>-?)"
    r"(?P<whole>\d+|\d{1,3}(?P<group>[,.\u00a0\u202f\u2009'\u2019 ])\d{3}((?P=group)\d{3})*|\d{1,2}(?:,\d{2})+,\d{3})"
    r"(?:(?P<point>[.,])(?P<part>\d+))?",
    re.ASCII,
)
_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:?\d{2})?)?", re.ASCII | re.IGNORECASE
)
_NUMERIC = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})", re.ASCII)
_FULL = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_YEAR_FIRST = re.compile(r"(\d{4})([/.])(\d{1,2})\2(\d{1,2})", re.ASCII)
_WEEKDAY = re.compile(r"\A(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?,? ", re.ASCII | re.IGNORECASE)
_WORDS = re.compile(
    r"(\d{1,2})(?:st|nd|rd|th)?(?: of)?[ -]([A-Za-z]+)\.?,?[ -](\d{4})"
    r"|([A-Za-z]+)\.?[ -](\d{1,2})(?:st|nd|rd|th)?,?[ -](\d{4})",
    re.ASCII,
)
_SEPT = ("sept", "sep")
_DAY_OR_NUMBER = re.compile(r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])", re.ASCII)
_SIGNS = {
    "€": "EUR", "₹": "INR", "₽": "RUB", "₺": "TRY", "₪": "ILS", "₫": "VND", "₴": "UAH", "₦": "NGN", "₸": "KZT",
    "US$": "USD",
}  # fmt: skip
"""Currencies of unambiguous symbols; pound, dollar, yen and won signs belong to several currencies."""
_CODES = frozenset(
    re.findall(
        "[A-Z]{3}",
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD "
        "CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ "
        "GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR "
        "LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN "
        "PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SYP SZL THB TJS "
        "TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG",
    )
)
"""ISO 4217, the currencies in use."""
_SECONDS, _MILLISECONDS = range(10**8, 10**11), range(10**11, 10**14)
"""Times since the epoch, in seconds and in milliseconds: both from 1973 to 5138."""


class Meaning(NamedTuple):
    """A value's kind, and its normalized form or None."""

    kind: Kind | None
    typed: str | bool | Amount | None = None


def text(value: object) -> str | None:
    """Return a vendor's text that says something, printable, and a number as it was written; None for anything else."""
    if isinstance(value, int | Number) and not isinstance(value, bool):
        return written(value)
    return block(value) if isinstance(value, str) and value.strip() else None


def as_text(value: Any) -> str | None:
    """Return a value as the vendor wrote it: text and None unchanged, anything else as JSON."""
    return value if value is None or isinstance(value, str) else written(value)


def meaning(value: Any) -> Meaning:
    """Return the meaning of a vendor's value, as far as it is certain."""
    if value is None:
        return Meaning(None)
    if isinstance(value, bool):
        return Meaning("boolean", value)
    if isinstance(value, int | Number):
        try:
            return Meaning("number", _plain(Decimal(written(value))))
        except InvalidOperation:  # the exponent is out of range
            return Meaning("number")
    text = value.strip().replace("\u2212", "-") if isinstance(value, str) else ""  # the minus of typography
    if text.lower() in {"true", "false"}:
        return Meaning("boolean", text.lower() == "true")
    known = _number(text) or _date(text) or _amount(text) if 0 < len(text) <= LONGEST else None
    return known or Meaning("text")


def field(
    key: str,
    name: str,
    value: Any,
    *,
    confidence: Any = None,
    inferred: bool = False,
    edited: bool = False,
) -> FieldValue:
    """Return a field of a result. A malformed confidence marks it for review.

    Key and name are printable lines of a bounded length; the value stays as the vendor wrote it.
    """
    found = meaning(value)
    sure, readable = confidence_of(confidence)
    return FieldValue(
        key=line(key, NAME),
        name=short(name),
        value=as_text(value),
        type=found.kind,
        typed=found.typed,
        confidence=sure,
        inferred=inferred,
        edited=edited,
        review=not readable,
    )


def confidence_of(value: Any) -> tuple[float | None, bool]:
    """Return a confidence from 0 to 1, and whether it is valid; a missing one is None and valid.

    ``0.31``, ``"0.31"``, ``"0,31"``, ``31``, ``"31"`` and ``"31%"`` are the same: more than 1 is percent.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None, True
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None, False
    text = written(value) if not isinstance(value, str) else value.strip().replace(",", ".", 1)
    percent = text.endswith("%") or text.startswith("%")  # Turkish writes it before the number
    number = _decimal((text[1:] if text.startswith("%") else text.removesuffix("%")).strip())
    if number is None or not 0 <= number <= 100:
        return None, False
    return float(number / 100 if percent or number > 1 else number), True


def score_of(value: Any, *, most: int) -> tuple[int | float | None, bool]:
    """Return a score from 0 to ``most``, as an int if it is whole, and whether it is valid; null is valid."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None, True
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None, False
    number = _decimal(value.strip() if isinstance(value, str) else written(value))
    if number is None or not 0 <= number <= most:
        return None, False
    return int(number) if number == number.to_integral_value() else float(number), True


def epoch(value: Any) -> datetime | None:
    """Return a time from a number (or its digits) of seconds or milliseconds since 1970; None for anything else."""
    text = value.strip() if isinstance(value, str) else written(value) if isinstance(value, int | Number) else ""
    number = _decimal(text) if not isinstance(value, bool) and len(text) <= LONGEST else None
    if number is None:
        return None
    whole = int(number)
    if whole in _SECONDS:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(number * 1_000_000))
    if whole in _MILLISECONDS:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(number * 1000))
    return None


class Keys:
    """Gives each field a unique key: a slug of its name, with ``_2`` and so on for repeated names."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: dict[str, Iterator[int]] = {}

    def key(self, name: str) -> str:
        """Return the key of another field of this name."""
        slug = key = re.sub(r"\W+", "_", name.lower()).strip("_") or "field"
        while key in self._taken:
            key = f"{slug}_{next(self._numbers.setdefault(slug, count(2)))}"
        self._taken.add(key)
        return key


def _number(text: str) -> Meaning | None:
    if _DAY_OR_NUMBER.fullmatch(text):
        return Meaning("text")
    number = _decimal_of(text, amount=False)
    return None if number is None else Meaning("number", _plain(number))


def _decimal_of(text: str, *, amount: bool) -> Decimal | None:
    """Return the number in a text, or None if it is not a number or is ambiguous.

    Either separator may be the decimal one; a single one before three digits may also be that of thousands.
    """
    if _INTEGER.fullmatch(text):
        return Decimal(text)
    match = _GROUPED.fullmatch(text)
    if match is None:
        return None
    whole, point, part = match["whole"], match["point"], match["part"]
    group = match["group"] or ("," if "," in whole else None)  # lakh and crore have groups of two
    if group and point:
        doubtful = group == point
    elif group:
        doubtful = group != "," or whole.count(",") == 1  # 1,234 and 1.234 and 1 234
    elif point:
        zero = len(whole) > 1 and whole.startswith("0")
        thousands = len(part) == 3 and len(whole) <= 3 and whole != "0"
        doubtful = zero or thousands or (point == "," and not amount)  # "3,50" may be a list; with a currency it is not
    else:
        doubtful = True  # leading zeros: an account number, not a quantity
    digits = re.sub(r"\D", "", whole)
    return None if doubtful else Decimal(f"{match['sign']}{digits}.{part or ''}".rstrip("."))


def _date(text: str) -> Meaning | None:
    if _ISO.fullmatch(text):
        try:
            if len(text) == 10:
                return Meaning("date", date.fromisoformat(text).isoformat())
            moment = datetime.fromisoformat(text.upper())
        except ValueError:
            return Meaning("text")
        return Meaning("date", moment.isoformat().replace("+00:00", "Z"))
    found = _numeric_day(text) or _worded_day(text)
    try:
        return None if found is None else Meaning("date", date(*found).isoformat())
    except ValueError:
        return Meaning("text")


def _numeric_day(text: str) -> tuple[int, int, int] | None:
    if (match := _YEAR_FIRST.fullmatch(text)) is not None:
        year, month, day = int(match[1]), int(match[3]), int(match[4])
        return (year, month, day) if day > 12 or day == month else None
    match = _NUMERIC.fullmatch(text)
    if match is None:
        return None
    first, second, year = int(match[1]), int(match[3]), int(match[4])
    if first > 12 or first == second:
        return year, second, first
    return (year, first, second) if second > 12 else None


def _worded_day(text: str) -> tuple[int, int, int] | None:
    match = _WORDS.fullmatch(_WEEKDAY.sub("", " ".join(text.split()), count=1))
    if match is None:
        return None
    day, name, year = (match[1], match[2], match[3]) if match[1] else (match[5], match[4], match[6])
    word = name.lower()
    months = [number for number, each in enumerate(_FULL, 1) if word in {each, each[:3]} or (word, each[:3]) == _SEPT]
    return (int(year), months[0], int(day)) if months else None


def _amount(text: str) -> Meaning | None:
    sign, rest = ("-", text[1:].lstrip()) if text.startswith("-") else ("", text)
    unit, number = _unit(rest)
    if unit is None:
        return None
    amount = _decimal_of(number, amount=True)
    if amount is None or (sign and amount < 0):
        return None
    code = unit if unit in _CODES else _SIGNS.get(unit)
    symbol = None if unit in _CODES else unit
    return Meaning("currency", Amount(amount=_plain(-amount if sign else amount), currency=code, symbol=symbol))


def _unit(text: str) -> tuple[str | None, str]:
    """Split a currency's code or symbol, on either side, from its number."""
    for unit, number in ((text[:3], text[3:]), (text[-3:], text[:-3])):
        if unit in _CODES or unit == "US$":
            return unit, number.strip()
    for unit, number in ((text[:1], text[1:]), (text[-1:], text[:-1])):
        if unit and category(unit) == "Sc":
            return unit, number.strip()
    return None, text


def _decimal(text: str) -> Decimal | None:
    if not text.isascii() or "_" in text or len(text) > LONGEST:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < _PLAIN else None


def _plain(number: Decimal) -> str:
    """Return a number in plain notation with all its digits."""
    if abs(number.adjusted()) >= _PLAIN:
        return str(number)
    return format(number, "f")
