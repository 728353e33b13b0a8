"""Plausible results, drawn from the file's SHA-256, so that the same file always has the same result."""

import random
from typing import Any

VENDORS = ("Acme Corp", "Northwind Traders", "Globex Ltd", "Initech GmbH", "Umbrella Foods", "Stark Industrial")
CLAIMANTS = ("Jack Grainger", "Amira Haddad", "Tom Okafor", "Lucia Ferrari", "Mei Tanaka", "Owen Price")
RESPONDENTS = ("Sonicwave Broadband Ltd", "Brightline Energy", "Harbour Insurance plc", "Skyhop Travel Ltd")
KINDS = ("Complaint Form", "Welcome Email", "Chat Log", "Deadlock Letter", "Invoice", "Contract")
EVENTS = (
    ("Contract signed", "{claimant} signed an 18-month contract with {respondent}."),
    ("First complaint", "{claimant} complained to {respondent} about a charge of £{amount}."),
    ("Price increased", "{respondent} applied the standard rate at the end of the promotional period."),
    ("Cancellation requested", "{claimant} asked {respondent} to end the contract early."),
    ("Final response issued", "{respondent} issued a final response and rejected the claim of £{amount}."),
)


def fails(name: str) -> bool:
    """Return whether the processing of a file of this name fails."""
    return "unreadable" in name.lower()


def dice(sha256: str) -> random.Random:
    """Return the random source for a file."""
    return random.Random(sha256)  # noqa: S311 # repeatable on purpose


def date_of(draw: random.Random) -> str:
    """Draw a date, as ISO 8601."""
    return f"{draw.choice((2024, 2025))}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"


def invoice_fields(sha256: str) -> list[dict[str, Any]]:
    """Return the fields of an invoice in DocuStack's form: values are text, one of them inferred."""
    draw = dice(sha256)
    drawn = (
        (
            "invoice_number",
            "Invoice Number",
            f"INV-{draw.choice((2023, 2024, 2025))}-{draw.randint(1, 9999):04}",
            False,
        ),
        ("vendor_name", "Vendor Name", draw.choice(VENDORS), False),
        ("total_amount", "Total Amount", f"{draw.randint(1000, 999_999) / 100:,.2f}", False),
        ("due_date", "Due Date", date_of(draw), True),
    )
    return [
        {
            "field_key": key,
            "field_name": name,
            "value": value,
            "confidence": round(draw.uniform(0.6, 0.8) if inferred else draw.uniform(0.9, 0.99), 2),
            "was_inferred": inferred,
            "manually_edited": False,
        }
        for key, name, value, inferred in drawn
    ]


def parties(seed: str) -> dict[str, str]:
    """Return the facts of a dispute: ``claimant``, ``respondent``, ``amount``, ``reference``."""
    draw = dice(seed)
    return {
        "claimant": draw.choice(CLAIMANTS),
        "respondent": draw.choice(RESPONDENTS),
        "amount": f"{draw.randint(2000, 90_000) / 100:.2f}",
        "reference": f"CW-{draw.choice((2024, 2025))}-{draw.randint(1, 999):03}",
    }


def evidence(sha256: str, name: str, size: int, who: dict[str, str]) -> dict[str, Any]:
    """Return the Ombudsman's analysis of a document: texts in markdown, dates at midnight UTC, scores or None."""
    draw = dice(sha256)
    kind, day = draw.choice(KINDS), f"{date_of(draw)}T00:00:00.000Z"
    claimant, respondent, amount = who["claimant"], who["respondent"], who["amount"]
    return {
        "title": f"{kind} - {claimant} v {respondent}",
        "short_description": f"{kind} in the dispute between {claimant} and {respondent} over £{amount}.",
        "summary": f"# {kind} - {claimant} v {respondent}\n\n"
        f"The file **{name}** ({size} bytes) documents the dispute.\n\n"
        f"- Amount: £{amount}\n- Date: {day[:10]}\n",
        "case_insights": f"- Claimant's position: £{amount} was charged in error\n- Dated {day[:10]}\n"
        f"- Remedy sought: £{amount} refund minimum",
        "event_date": day,
        "event_date_start": day,
        "event_date_end": day,
        "claimant_support_score": draw.choice((None, *range(11))),
        "defendant_support_score": draw.choice((None, *range(11))),
    }


def event(sha256: str, who: dict[str, str]) -> tuple[str, str]:
    """Return title and description of the event of a document."""
    title, description = dice(f"event/{sha256}").choice(EVENTS)
    return title, description.format(**who)


def case_specific_fields(who: dict[str, str]) -> dict[str, str]:
    """Return a case's own fields, as in the guide."""
    return {
        "Claimant": who["claimant"],
        "Respondent": who["respondent"],
        "ABTA Case Reference": "Not found",
        "Internal Case Reference": who["reference"],
        "Total Holiday Cost": "Not found",
        "Amount Claimed": f"£{who['amount']}",
        "Pre-Arbitration Offer": "Not found",
    }
