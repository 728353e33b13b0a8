"""Execution inputs of cases."""

from __future__ import annotations

from typing import Any

from tests.conftest import Cloud
from tests.machine import samples

VENDORS = ("invoices", "claims", "disputes")


def case(cloud: Cloud, names: tuple[str, str], documents: int = 1) -> dict[str, Any]:
    """Return the input of a case."""
    body = samples("invoice.pdf")["invoice.pdf"]
    uris = [cloud.put(f"staging/{names[0]}/{number}.pdf", body + bytes(number)) for number in range(documents)]
    return {"connection": names[0], "reference": names[1], "documents": [{"uri": each} for each in uris]}
