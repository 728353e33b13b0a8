"""The pages that a vendor should bill, and further entries of its account."""

from __future__ import annotations

from datetime import timedelta

from dossier.models import CaseId, now
from dossier.steps.compare import SETTLED, compare
from dossier.steps.forget import forget
from dossier.steps.invoice import lines, unexplained
from tests.conftest import Cloud
from tests.erasing import erasing, with_dead_letters
from tests.machine import World, samples
from tests.steps.updates import stray

BEGIN, END = now() - timedelta(days=2), now() + timedelta(days=2)


def test_every_uploaded_page_is_tied_to_its_case(cloud: Cloud) -> None:
    """At each vendor: as many lines as there were uploads, with the ids under which the vendor has them."""
    world, files = World(cloud), samples("invoice.pdf", "photo.jpg")
    for connection in ("invoices", "claims", "disputes"):
        world.submit(connection, f"{connection}-1", files)
        found = lines(connection, BEGIN, END, context=world.context)
        assert [(each.reference, each.document, each.pages, each.in_doubt) for each in found] == [
            (f"{connection}-1", name, 1, False) for name in files
        ]
        assert all(each.document_id for each in found)


def test_unknown_entries_of_the_account_are_unexplained(cloud: Cloud) -> None:
    """Entries that another user of the key created, or that exist twice; recent ones are ignored."""
    world = World(cloud)
    for name in ("invoices", "claims"):
        world.submit(name, "R-1", samples("invoice.pdf"))
        made = stray(world, name)
        settings = world.connections[name]
        assert unexplained(settings, BEGIN, END, context=world.context) == ([], None)
        later = now() + SETTLED + timedelta(minutes=1)
        found, unread = unexplained(settings, BEGIN, END, at=later, context=world.context)
        assert ([each.id for each in found], unread) == ([made], None)
        assert unexplained(settings, BEGIN, BEGIN + timedelta(days=1), at=later, context=world.context) == ([], None)


def test_a_list_that_cannot_be_read_says_why(cloud: Cloud) -> None:
    """The invoice still has the cases."""
    world = World(cloud)
    world.keys.wrong = True
    settings = world.connections["claims"]
    found = unexplained(settings, BEGIN, END, context=world.context)
    assert found[0] == []
    assert "could not be read" in str(found[1])


def test_an_erased_case_explains_what_the_vendor_still_lists_of_it(cloud: Cloud) -> None:
    """The bill has its pages; neither the invoice nor the hourly comparison reports it as unexplained."""
    world = with_dead_letters(cloud)
    later = now() + SETTLED + timedelta(minutes=1)
    for name in ("invoices", "claims"):
        world.submit(name, "R-1", samples("invoice.pdf"))
        forget(CaseId(name, "R-1"), context=erasing(world))
        settings = world.connections[name]
        assert unexplained(settings, BEGIN, END, at=later, context=world.context) == ([], None)
        assert compare([name], context=world.context, at=later).unknown == {name: []}
        made = stray(world, name)
        assert compare([name], context=world.context, at=later).unknown == {name: [made]}


def test_pages_of_an_erased_case_stay_on_the_invoice(cloud: Cloud) -> None:
    """Its month and its number of pages identify no person."""
    world = with_dead_letters(cloud)
    world.submit("invoices", "R-1", samples("invoice.pdf", "photo.jpg"))
    forget(CaseId("invoices", "R-1"), context=erasing(world))
    [tombstone] = cloud.app.forgotten.of("invoices")[:1]
    assert [(each.month, each.pages) for each in cloud.app.forgotten.of("invoices") if each.pages] == [
        (f"{now():%Y-%m}", 2)
    ]
    assert tombstone.done_at
