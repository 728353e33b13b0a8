"""The page's counts of requests are those of the walked cases."""

from __future__ import annotations

import pytest

from bench.counts import LEAST, VENDORS, run, section


@pytest.mark.slow
def test_every_vendors_requests_are_counted_and_compared() -> None:
    """A later case takes no more of anything than the first, and no fewer requests to the vendor than its guide."""
    found = run()
    assert list(found) == list(VENDORS.values())
    for connection, vendor in VENDORS.items():
        first, *_, later = found[vendor]
        assert all(later[name] <= first[name] for name in first)
        assert later["vendor"] >= LEAST[connection]
        assert min(first.values()) > 0
    lines = section(found)
    assert sum("requests to the vendor" in line for line in lines) == len(VENDORS)
    assert sum("a later one" in line for line in lines) == len(VENDORS)


def test_a_target_that_is_missed_is_marked() -> None:
    """Half of the writes alone is not enough."""
    names = ("vendor", "table writes", "table reads", "S3 writes", "S3 reads", "SQS", "transitions", "invocations")
    case = dict(zip(names, (3, 12, 11, 7, 4, 1, 7, 6), strict=True))
    lines = section({vendor: [case, case] for vendor in VENDORS.values()})
    assert "| DocuStack: requests to the vendor, at most the guide's | 3 of 3 | yes |" in lines
    assert "| DocuStack: writes and reads of the table, half of 24 and 21 | 12 and 11 | **no** |" in lines
