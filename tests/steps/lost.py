"""A case whose upload was not answered."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dossier.models import CaseId, iso
from dossier.ports import Uploaded
from dossier.steps import upload as step
from dossier.steps.accept import accept
from dossier.steps.upload import open_case, upload
from dossier.stores.intents import StoredIntent
from tests.conftest import Cloud
from tests.machine import Killed, World, samples

CONNECTIONS = ("invoices", "claims", "disputes")

SETTLING = 40.0


class Lost:
    """A case whose first upload ended in the middle of its request, as the vendor's answer was on its way or not."""

    def __init__(self, cloud: Cloud, connection: str) -> None:
        self.world, self.connection, self.names = World(cloud), connection, CaseId(connection, "R-1")
        known = self.world.connections[connection]
        self.world.connections[connection] = known.model_copy(update={"settling": SETTLING})
        uri = cloud.put(f"staging/{connection}/invoice.pdf", samples("invoice.pdf")["invoice.pdf"])
        context = self.world.context
        case = {"connection": connection, "reference": "R-1", "documents": [{"uri": uri}]}
        accepted = accept(case, "arn:R-1", context=context)
        if accepted.opens:
            open_case(self.names, context=context)

    def upload(self) -> None:
        """Try the first upload once."""
        upload(self.names, 0, context=self.world.context)

    def killed(self) -> None:
        """Try the first upload, and be killed as its request is about to leave."""
        sandbox, known = self.world.sandbox, self.world.sandbox.event_hooks

        def strike(request: object) -> None:
            if getattr(request, "method", "") == "POST":
                raise Killed

        sandbox.event_hooks = {"request": [strike]}
        with pytest.raises(Killed):
            self.upload()
        sandbox.event_hooks = known

    def work_of_the_first_try(self) -> Uploaded:
        """Have the vendor perform the first try's request late; return its answer, which nobody receives."""
        job = self.world.context.load(self.names)
        return job.run(step._request(step.VendorWrite(job, "upload-0", job.vendor.batches(job.view)[0]), {}))

    @property
    def intent(self) -> StoredIntent:
        """The stored intent of the upload."""
        found = self.world.context.intents.find(self.names, "upload-0")
        assert found is not None
        return found

    def passes(self, seconds: float) -> None:
        """Move the loss of the answer further into the past."""
        lost_at = self.intent.lost_at
        assert lost_at is not None
        key = (f"INTENTS#{self.connection}", f"{self.names[1]}#upload-0")
        assert self.world.cloud.app.table.update(*key, {"lost_at": iso(lost_at - timedelta(seconds=seconds))})

    @property
    def uploads(self) -> int:
        """How many documents reached the vendor."""
        return len(self.world.effects("document_uploaded"))

    @property
    def asked(self) -> int:
        """How many requests reached the vendor."""
        return len(self.world.journal())
