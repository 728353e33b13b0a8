"""The DocuStack adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

from dossier.alike import alike
from dossier.errors import (
    ConfigurationError,
    InvalidCaseError,
    MalformedAnswerError,
    NeedsAttentionError,
    NotReadyError,
    OutcomeUnknownError,
    StrayAnswerError,
    VendorRejectedError,
)
from dossier.http import Flow
from dossier.lost import certain, check_name, check_named, choose, proves, reaches_back, suspects, usable
from dossier.media import JPEG, PDF, TIFF
from dossier.models import BY_REFERENCE, PRESIGNED, Document, now
from dossier.options import Option, text_of
from dossier.ports import (
    Artifact,
    CaseView,
    DocumentState,
    Hint,
    Intent,
    Location,
    Progress,
    Seen,
    Uploaded,
    Vendor,
    no_request,
)
from dossier.replies import missing, read, read_object
from dossier.result import Result
from dossier.stamps import by_our_clock
from dossier.values import as_text
from dossier.vendors.docustack import hints, lookup, requests, results
from dossier.vendors.docustack.answers import document_state, first_id, is_unknown
from dossier.vendors.docustack.batch import read_batch
from dossier.vendors.docustack.guide import DOCUMENTED, REFUSAL
from dossier.vendors.docustack.options import options
from dossier.vendors.docustack.settings import DocuStackConnection, schemes

Case: TypeAlias = CaseView[DocuStackConnection]
BATCH_SIZE = 100
"""Most documents in one batch request. The guide gives no limit."""
SETTLE = timedelta(seconds=60)
"""How long after a batch its documents may be missing from the list: the vendor ingests them in the background."""
MOST_COMPARED = 60
"""In a case with more documents, names are not compared pairwise, and documents are uploaded one at a time."""
PAGES = 20
"""Most pages of the list that one look-up reads."""


class DocuStack(Vendor[DocuStackConnection]):
    """DocuStack's API: no cases, one upload per file, references in batches, one phase."""

    name = "docustack"
    called = "DocuStack"
    media_types = frozenset({PDF, JPEG, TIFF})
    phases = ("documents",)
    accepts_references = True
    lists = True
    documented = DOCUMENTED
    refusal = REFUSAL

    def headers(self, api_key: str) -> Mapping[str, str]:
        """Return the key's header (guide, "Authentication").

        A test key must not process real cases, and a live key must not bill for tests.

        Raises:
            ConfigurationError: the key cannot be sent, or is of the other mode.

        """
        headers, mode = super().headers(api_key), self.connection.mode
        other = "test" if mode == "live" else "live"
        if api_key.startswith(f"ds_{other}_"):
            raise ConfigurationError(
                f'connection "{self.connection.name}" has mode = "{mode}", but its API key is a {other} key '
                f"(ds_{other}_…): run `dossier secrets set {self.connection.name}` with a ds_{mode}_… key, or set "
                f'mode = "{other}"'
            )
        return headers

    def options(self) -> tuple[Option, ...]:
        """Return the options that the connection's cases may have."""
        return options(self.connection)

    def validate(self, case: Case) -> None:
        """Reject a ``case_id``, unknown options, and references that DocuStack cannot read."""
        if case.case_id is not None:
            raise InvalidCaseError("DocuStack has no cases: leave out case_id")
        if not case.documents:
            raise InvalidCaseError("the case has no documents")
        super().validate(case)
        for document in case.documents:
            if document.ref is not None and not document.ref.lower().startswith(schemes(case.connection)):
                raise InvalidCaseError(f"{document.name}: DocuStack reads references that begin with https:// or s3://")

    def batches(self, case: Case) -> Sequence[Sequence[int]]:
        """Return one upload per file, and the references in batches of at most ``BATCH_SIZE``."""
        files = [[document.index] for document in case.documents if not _is_referred(case, document)]
        referred = [document.index for document in case.documents if _is_referred(case, document)]
        return files + [referred[start : start + BATCH_SIZE] for start in range(0, len(referred), BATCH_SIZE)]

    def uploads_at_once(self, case: Case) -> int:
        """Return the connection's concurrency, or 1 if DocuStack may list one document under another one's name."""
        names = [document.name for document in case.documents[:MOST_COMPARED]]
        apart = len(names) == len(case.documents) and not any(
            alike(one, other) for place, one in enumerate(names) for other in (*names[:place], *names[place + 1 :])
        )
        return case.connection.limits.concurrency if apart else 1

    def listed(self) -> Flow[Seen]:
        """Read the first page of the account's list of documents."""
        listing = yield from self._list(lambda _: True)
        return listing.seen

    def upload(self, case: Case, batch: Sequence[int]) -> Flow[Uploaded]:
        """Upload one file, or submit a batch of references.

        Raises:
            OutcomeUnknownError: also if a batch was accepted, but its answer does not name every document's id.

        """
        documents = case.batch(batch)
        if _is_referred(case, documents[0]):
            return (yield from self._upload_batch(case, documents))
        request = requests.upload(_of(case), documents[0])
        reply = yield request
        answer = read_object(request, reply)
        document_id = first_id(answer, "document_id")
        if document_id is None:
            raise missing(request, reply, "document_id")
        return Uploaded(document_ids={documents[0].index: document_id}, job_id=first_id(answer, "job_id"))

    def _upload_batch(self, case: Case, documents: Sequence[Document]) -> Flow[Uploaded]:
        request = requests.batch(_of(case), documents)
        reply = yield request
        uploaded = read_batch(read(request, reply), documents)
        lacking = [each for each in documents if each.index not in {**uploaded.document_ids, **uploaded.failures}]
        if lacking:
            # The batch was accepted and must not be sent again: find_uploaded looks up the missing ids.
            job = f" (job {uploaded.job_id})" if uploaded.job_id else ""
            raise OutcomeUnknownError(f"the batch was accepted{job}, but its answer gives no id for {_names(lacking)}")
        return uploaded

    def find_uploaded(self, case: Case, batch: Sequence[int], intent: Intent) -> Flow[Uploaded | None]:
        """Look up the documents in the account's list.

        A single file was not uploaded if no listed document can be it. The documents of a batch may be missing while
        the vendor ingests them: the look-up is repeated for ``SETTLE``, then an operator is asked.

        Raises:
            NotReadyError: the batch's documents may still be on their way.
            NeedsAttentionError: there is no list, it may be incomplete, or it is not clear which document is the
                upload's; or the id that an operator named is not the upload's.

        """
        documents = case.batch(batch)
        if intent.adopt is not None:
            check_named(intent.adopt, intent, case.documents)
            flow = self._named_job if len(documents) > 1 else self._named
            return (yield from flow(case, documents, intent, intent.adopt))
        listing = yield from self._list_for(documents, intent)
        entries = listing.entries
        proven = proves(entries, intent, whole=listing.whole)
        taken = {each.document_id for each in case.documents}
        left = {each.id for each in suspects(entries, intent)} - taken
        found = [each for each in listing.documents if each.label in left]
        # Documents are listed one by one, so each name of another request is compared by itself.
        intent = replace(intent, others=tuple((name,) for names in intent.others for name in names))
        if _is_referred(case, documents[0]):
            return _batch_found(documents, found, intent, listing)
        candidates = [lookup.candidate(each, documents[0], intent, entries) for each in found]
        chosen = choose(candidates, intent, lost=_lost(documents), proven=proven)
        if chosen is None:
            return None
        job_id = next(each.job_id for each in found if each.label == chosen.id)
        return Uploaded(document_ids={documents[0].index: chosen.id}, job_id=job_id)

    def _named(self, case: Case, documents: Sequence[Document], intent: Intent, named: str) -> Flow[Uploaded]:
        """Look up the one document that an operator named (guide, "Step 4")."""
        request = replace(requests.document(named), keep=None)
        answer = read_object(request, (yield request))
        connection = _of(case)
        for key, own_id in (("organization_id", connection.organization_id), ("schema_id", connection.schema_id)):
            found = first_id(answer, key)
            if found is not None and found != own_id:
                raise NeedsAttentionError(f"{named} has {key} {found}, but this case's is {own_id}")
        name = as_text(answer.get("name")) or as_text(answer.get("filename"))
        check_name(named, [each.name for each in documents], [name] if name else [], intent)
        document_id = first_id(answer, "id", "document_id") or named
        return Uploaded(document_ids={documents[0].index: document_id}, job_id=first_id(answer, "job_id"))

    def _named_job(self, case: Case, documents: Sequence[Document], intent: Intent, named: str) -> Flow[Uploaded]:
        """Look up the documents of the batch whose job an operator named, in the account's list."""

        def enough(listing: lookup.Listing) -> bool:
            return sum(each.job_id == named for each in listing.documents) >= len(documents)

        listing = yield from self._list(enough)
        found = [each for each in listing.documents if each.job_id == named and usable(each.label)]
        pairs = lookup.pair_all(documents, found)
        if len(pairs.found) < len(documents):
            raise NeedsAttentionError(
                f"job {named} is not the batch's: DocuStack lists {len(found)} documents of that job, and "
                f"{len(pairs.found)} of them have names of the {len(documents)} that were sent"
            )
        ids = {documents[place].index: found[other].label for place, other in pairs.found.items()}
        return Uploaded(document_ids=ids, job_id=named)

    def _list_for(self, documents: Sequence[Document], intent: Intent) -> Flow[lookup.Listing]:
        def enough(listing: lookup.Listing) -> bool:
            return reaches_back(listing.entries, intent)

        try:
            return (yield from self._list(enough, shared=intent.settled))
        except StrayAnswerError as error:
            if not error.worded:  # a gateway's answer says nothing about the list
                raise
            raise NeedsAttentionError(f"{_lost(documents)}: {error}") from error
        except (VendorRejectedError, MalformedAnswerError) as error:
            raise NeedsAttentionError(f"{_lost(documents)}: {error}") from error

    def _list(self, enough: Callable[[lookup.Listing], bool], *, shared: bool = False) -> Flow[lookup.Listing]:
        """Read the list until it is ``enough``, as far as its answers contain their paging.

        Raises:
            MalformedAnswerError: an answer contains no list; also the errors of ``dossier.replies.read``.

        """
        listing = lookup.Listing((), whole=False, next_offset=0)
        for _ in range(PAGES):
            request = requests.listing(listing.next_offset or 0, shared=shared)
            page = lookup.read_listing(read(request, (yield request)))
            if page is None:
                raise MalformedAnswerError(f"the vendor's answer to {request.path} contains no list")
            before, listing = listing, listing + page
            nothing_new = len(listing.documents) == len(before.documents)
            if nothing_new or listing.next_offset is None or enough(listing):
                break
        return listing

    def poll_documents(self, case: Case, pending: Sequence[str]) -> Flow[Progress]:
        """Request the status of each pending document (guide, "Step 3")."""
        states: dict[str, DocumentState] = {}
        for document_id in pending:
            request = requests.status(document_id)
            reply = yield request
            states[document_id] = document_state(read_object(request, reply))
        unknown = {state.status for state in states.values() if is_unknown(state.status)}
        finished = all(state.finished for state in states.values())
        return Progress(finished=finished, documents=states, unknown=tuple(sorted(unknown)))

    def artifacts(self, case: Case) -> Flow[Sequence[Artifact]]:
        """List one JSON file per document that DocuStack accepted; that of a failed document may give the reason.

        The files are named after the documents, so two names may be equal.
        """
        return no_request(
            [
                Artifact(f"{each.name}.json", source=each.document_id, content_type="application/json")
                for each in case.documents
                if each.document_id is not None
            ]
        )

    def locate(self, case: Case, artifact: Artifact) -> Flow[Location]:
        """Return the document's API path; its body is stored as ``document-<id>``."""
        document_id = artifact.source
        request = requests.document(document_id)
        return no_request(Location(path=request.path, keep=request.keep, about=request.about))

    def answer_of(self, source: str) -> str | None:
        """Return the name of a document's answer, which is the artifact."""
        return requests.kept_as(source)

    def read_result(self, case: Case, raw: Mapping[str, bytes]) -> Result:
        """Build the result from the stored ``document-<id>`` answers."""
        return results.read_result(case, raw)

    @classmethod
    def read_hint(cls, body: bytes) -> Hint | None:
        """Return the document and job ids that a delivery names."""
        return hints.read_hint(body)

    def created(self, since: datetime, recorded: Mapping[str, datetime]) -> Flow[Mapping[str, datetime]]:
        """Read the account's list of documents back to ``since``, as far as its answers contain their paging."""

        def times(listing: lookup.Listing) -> dict[str, datetime]:
            named = [each for each in listing.documents if usable(each.label)]
            return by_our_clock([(each.label, each.created) for each in named], recorded)

        def enough(listing: lookup.Listing) -> bool:
            return bool(listing.documents) and times(listing).get(listing.documents[-1].label, since) < since

        listing = yield from self._list(enough)
        return {name: at for name, at in times(listing).items() if at >= since}

    def check(self) -> Flow[str]:
        """List documents, as the guide's authentication example does, which proves URL and key."""
        request = requests.listing()
        reply = yield request
        try:
            listing = lookup.read_listing(read(request, reply))
        except StrayAnswerError as error:
            if not error.worded or error.status not in {404, 405}:
                raise
            listing = None
        mode = self.connection.mode
        if listing is None:
            return f"answers ({mode}), but has no list of documents: you will be asked about lost upload answers"
        return f"the key is accepted ({mode}); {len(listing.documents)} document(s) listed"


def _of(case: Case) -> DocuStackConnection:
    """Return the connection's settings with the case's own schema."""
    connection = case.connection
    schema = text_of(case.options, "schema_id") or connection.schema_id
    return connection.model_copy(update={"schema_id": schema})


def _is_referred(case: Case, document: Document) -> bool:
    """Whether a document is sent by reference: submitted as one, or presigned when it is sent."""
    return document.ref is not None or case.options.get(BY_REFERENCE) == PRESIGNED


def _batch_found(
    documents: Sequence[Document], found: Sequence[lookup.Listed], intent: Intent, listing: lookup.Listing
) -> Uploaded:
    """Match a batch's documents with the suspects; accept all of them or none."""
    pairs = lookup.pair_all(documents, found)
    chosen = {documents[place].index: found[other] for place, other in pairs.found.items()}
    whole = len(chosen) == len(documents)
    fitting = [lookup.candidate(chosen[each.index], each, intent, listing.entries) for each in documents if whole]
    if (
        whole
        and not pairs.unsure
        and (pairs.exact or intent.settled)
        and all(certain(each, intent) for each in fitting)
    ):
        ids = {index: each.label for index, each in chosen.items()}
        return Uploaded(document_ids=ids, job_id=next(each.job_id for each in chosen.values()))
    if not whole and now() - intent.at < SETTLE:
        raise NotReadyError(f"{_lost(documents)}: not all documents are listed yet")
    others = f"; possible matches: {', '.join(each.label for each in found[:5])}" if found else ""
    jobs = {each.job_id: each for each in found if each.job_id is not None}
    choices = [lookup.job_choice(job_id, found) for job_id in jobs]
    problem = f"{_lost(documents)}: DocuStack's list has {len(chosen)} of {len(documents)} documents{others}"
    raise NeedsAttentionError(problem, choices=choices)


def _names(documents: Sequence[Document]) -> str:
    shown = ", ".join(document.name for document in documents[:3])
    return shown if len(documents) <= 3 else f"{shown} and {len(documents) - 3} more"


def _lost(documents: Sequence[Document]) -> str:
    return f"the answer to the upload of {_names(documents)} was lost, and it is unknown whether it took effect"
