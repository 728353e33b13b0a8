"""The adapter of the Ombudsman partner API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from dossier.errors import (
    CaseFailedError,
    ConfigurationError,
    InvalidCaseError,
    NeedsAttentionError,
    NotReadyError,
    StrayAnswerError,
    VendorRejectedError,
)
from dossier.http import Flow
from dossier.lost import check_named, choice, usable
from dossier.media import AVIF, BMP, DOCX, GIF, HEIC, JP2, JPEG, PDF, PNG, TIFF, WEBP
from dossier.options import Option
from dossier.ports import (
    Artifact,
    CaseView,
    DocumentState,
    Hint,
    Intent,
    Location,
    Progress,
    Uploaded,
    Vendor,
    never,
    no_request,
)
from dossier.replies import identifier, line, message, missing, read, read_object
from dossier.result import Result
from dossier.stamps import Stamp
from dossier.values import text
from dossier.vendors.ombudsman import hints, requests, results
from dossier.vendors.ombudsman.answers import (
    CASE_ENDED,
    CASE_RUNNING,
    DOCUMENT_ENDED,
    DOCUMENT_RUNNING,
    document_state,
    evidence_labels,
    evidence_of,
    problem,
    status,
)
from dossier.vendors.ombudsman.guide import DOCUMENTED, REFUSAL
from dossier.vendors.ombudsman.options import options
from dossier.vendors.ombudsman.settings import OmbudsmanConnection

Case: TypeAlias = CaseView[OmbudsmanConnection]
STILL_PROCESSING = "still being processed"
"""Part of the message of the 400 to ``/process`` that is worth retrying (guide, "Documents Not Ready")."""
NOBODY = "00000000-0000-4000-8000-000000000000"
"""A UUID that no case has: zeros with a valid version and variant (RFC 9562, section 4). A strict parser may reject
the nil UUID with a 400."""
CREATE_NOT_PERFORMED = frozenset({500})
"""The guide says "Retry request" for a 500. A create is retried: at worst an empty case remains, which bills nothing.
An upload is looked up instead."""


class Ombudsman(Vendor[OmbudsmanConnection]):
    """The Ombudsman partner API: open a case, upload its documents one by one, then trigger the assessment.

    One upload runs at once: evidence has no file name, so only its order shows which upload it came from.
    """

    name = "ombudsman"
    called = "the Ombudsman API"
    media_types = frozenset({PDF, DOCX, JPEG, PNG, TIFF, GIF, BMP, WEBP, HEIC, AVIF, JP2})
    opens_case = True
    phases = ("documents", "results")
    documented = DOCUMENTED
    refusal = REFUSAL

    def options(self) -> tuple[Option, ...]:
        """Return the options that the connection's cases may have."""
        return options(self.connection)

    def validate(self, case: Case) -> None:
        """Reject unknown options, values that an option does not accept, and an empty case."""
        super().validate(case)
        if case.case_id is None and not case.documents:
            raise InvalidCaseError("the case has no documents, and no case_id to collect")

    def open(self, case: Case) -> Flow[Uploaded]:
        """Create the case (guide, "Step 1"; a NestJS service may answer 200 or 201)."""
        request = requests.create(case.connection, case.reference, case.options)
        reply = yield request
        case_id = identifier(read_object(request, reply, not_performed=CREATE_NOT_PERFORMED).get("case_id"))
        if case_id is None:
            raise missing(request, reply, "case_id")
        return Uploaded(case_id=case_id)

    def find_opened(self, case: Case, intent: Intent) -> Flow[Uploaded | None]:
        """Ask an operator, or create again (``on_unknown_outcome``): the API cannot list or search cases.

        The case that an operator names is looked up; its ``external_case_id`` has to be this case's.
        """
        if intent.adopt is not None:
            return (yield from self._named(case, intent.adopt))
        yield from ()
        if case.connection.on_unknown_outcome == "retry":
            return None
        known_as = requests.external_id(case.reference, case.options)
        raise NeedsAttentionError(
            f"the answer to creating case {case.reference} was lost, and the API cannot look up a case by its "
            f"reference: check with the vendor whether external_case_id {known_as} exists"
        )

    def _named(self, case: Case, named: str) -> Flow[Uploaded]:
        """Look up the case that an operator named (guide, "Step 4")."""
        request = requests.case(named)
        answer = read_object(request, (yield request))
        found, own_id = text(answer.get("external_case_id")), requests.external_id(case.reference, case.options)
        if found is not None and found != own_id:
            raise NeedsAttentionError(f"case {named} has external_case_id {line(found)}, but this case's is {own_id}")
        return Uploaded(case_id=identifier(answer.get("case_id")) or named)

    def before_upload(self, case: Case, batch: Sequence[int]) -> Flow[frozenset[str]]:
        """Return the ids of the case's evidence before the upload; the case's own, without a request, if it is alone.

        Uploads into a case run one by one (``uploads_at_once``). So the records equal the vendor's list, if every
        answer arrived and nobody else had time to add anything.
        """
        if case.alone:
            return frozenset(each.document_id for each in case.documents if each.document_id)
        answer = yield from self._case(case)
        return frozenset(evidence_labels(answer))

    def upload(self, case: Case, batch: Sequence[int]) -> Flow[Uploaded]:
        """Upload one evidence document (guide, "Step 2")."""
        (document,) = case.batch(batch)
        request = requests.upload(case.known_id, document)
        reply = yield request
        document_id = identifier(read_object(request, reply).get("document_id"))
        if document_id is None:
            raise missing(request, reply, "document_id")
        return Uploaded(case_id=case.case_id, document_ids={document.index: document_id})

    def find_uploaded(self, case: Case, batch: Sequence[int], intent: Intent) -> Flow[Uploaded | None]:
        """Compare the case's evidence with the ids known before: the new one is the lost upload's.

        Other requests on the connection do not matter: each case has its own evidence, uploaded one by one.

        Raises:
            NeedsAttentionError: more than one evidence document is new, or the case does not list its evidence.

        """
        (document,) = case.batch(batch)
        if intent.adopt is not None:
            check_named(intent.adopt, intent, case.documents)
            request = requests.evidence(case.known_id, intent.adopt)
            document_id = identifier(read_object(request, (yield request)).get("document_id")) or intent.adopt
            check_named(document_id, intent, case.documents)
            return Uploaded(case_id=case.case_id, document_ids={document.index: document_id})
        lost = f"the answer to the upload of {document.name} was lost, and it is unknown whether it took effect"
        answer = yield from self._case(case)
        if not isinstance(answer.get("evidence", ""), list | type(None)):
            raise NeedsAttentionError(f"{lost}: the vendor's case does not list its evidence")
        taken = {each.document_id for each in case.documents if each.document_id}
        listed = evidence_labels(answer)
        new = [each for each in listed if each not in intent.known and each not in taken]
        entries = evidence_of(answer)
        choices = [choice(each, [], Stamp.of(entries[each].get("uploaded_at"))) for each in new if each in entries]
        before = {*(intent.seen.ids if intent.seen else ())}
        if not new and not taken | before <= {*listed}:
            raise NeedsAttentionError(f"{lost}: the vendor's case no longer lists its earlier evidence")
        if len(new) > 1:
            shown = ", ".join(new)
            raise NeedsAttentionError(
                f"{lost}: the case has {len(new)} new evidence documents ({shown})", candidates=new, choices=choices
            )
        if new and intent.others:
            raise NeedsAttentionError(
                f"{lost}: {new[0]} is new, but other requests add to this case too", candidates=new, choices=choices
            )
        if new and not usable(new[0]):
            raise NeedsAttentionError(f"{lost}: the case has a new evidence document without a usable id")
        return Uploaded(case_id=case.case_id, document_ids={document.index: new[0]}) if new else None

    def poll_documents(self, case: Case, pending: Sequence[str]) -> Flow[Progress]:
        """Request each pending evidence document (guide, "Step 2b")."""
        states: dict[str, DocumentState] = {}
        for document_id in pending:
            request = requests.evidence(case.known_id, document_id)
            reply = yield request
            states[document_id] = document_state(read_object(request, reply))
        named = DOCUMENT_RUNNING | DOCUMENT_ENDED.keys()
        unknown = {state.status for state in states.values() if state.status not in named}
        finished = all(state.finished for state in states.values())
        return Progress(finished=finished, documents=states, unknown=tuple(sorted(unknown)))

    def poll_results(
        self, cases: Sequence[Case], *, start: int = 0, spent: Callable[[], bool] = never
    ) -> Flow[Mapping[str, Progress]]:
        """Request each case (guide, "Step 4"). Only its ``status`` counts; its times may be null.

        The answer is not stored: the case's JSON is an artifact and is stored when it is downloaded.
        """
        found: dict[str, Progress] = {}
        for case in cases:
            request = requests.case(case.known_id)
            reply = yield request
            found[case.known_id] = _progress(read_object(request, reply))
        return found

    def process(self, case: Case) -> Flow[None]:
        """Trigger the assessment (guide, "Step 3"), unless it covers all documents and is under way or done.

        If it may have been triggered before, the case is read first: this may be repeated after an
        ``OutcomeUnknownError``.

        Raises:
            CaseFailedError: documents failed and the connection says ``on_failed_document = "stop"``.
            NotReadyError: the vendor is still processing documents.

        """
        answer = (yield from self._case(case)) if case.tried else {}
        if _is_assessed(case, answer):
            return
        failed_ids = {key for key, each in evidence_of(answer).items() if document_state(each).failed}
        failed = [each.name for each in case.documents if each.failed or (each.document_id or "") in failed_ids]
        if failed and case.connection.on_failed_document == "stop":
            raise CaseFailedError(f"the vendor could not process {', '.join(failed)}: the case is not assessed")
        request = requests.process(case.known_id)
        reply = yield request
        try:
            read(request, reply)
        except VendorRejectedError as error:
            if error.status == 400 and STILL_PROCESSING in message(reply).lower():
                raise NotReadyError(str(error)) from error
            answer = yield from self._case(case)
            if not _is_assessed(case, answer) and not (
                status(answer) == "processed" and _is_stale(case, answer) is None
            ):
                raise
            # An earlier trigger whose answer was lost took effect late.

    def artifacts(self, case: Case) -> Flow[Sequence[Artifact]]:
        """List the case's JSON and one per evidence document; a case that is only collected names its evidence.

        The files are named after the documents, so two names may be equal.
        """
        case_id = case.known_id
        named = [(each.document_id, each.name) for each in case.documents if each.document_id is not None]
        if not case.documents:
            answer = yield from self._case(case)
            named = [(document_id, f"evidence-{document_id}") for document_id in evidence_of(answer)]
        files = [("case", requests.case_path(case_id))]
        files += [(name, requests.evidence_path(case_id, document_id)) for document_id, name in named]
        return [Artifact(f"{name}.json", source=path, content_type="application/json") for name, path in files]

    def locate(self, case: Case, artifact: Artifact) -> Flow[Location]:
        """Return the API path; the body is stored as ``case`` or ``evidence-<id>``."""
        path = artifact.source
        return no_request(Location(path=path, keep=requests.kept_as(path), about=requests.about(path)))

    def answer_of(self, source: str) -> str | None:
        """Return the name of the answer at a path, which is the artifact."""
        return requests.kept_as(source)

    def read_result(self, case: Case, raw: Mapping[str, bytes]) -> Result:
        """Build the result from the stored ``case`` and ``evidence-<id>`` answers."""
        return results.read_result(case, raw)

    @classmethod
    def read_hint(cls, body: bytes) -> Hint | None:
        """Return the case and document ids that a delivery names."""
        return hints.read_hint(body)

    def check(self) -> Flow[str]:
        """Request a case that cannot exist: the API has no list, but its "not found" proves URL and key.

        Raises:
            ConfigurationError: the 404 is not the API's (no message, or "Cannot GET …", a NestJS service's answer for
                an unknown path): ``base_url`` leads elsewhere.

        """
        request = requests.case(NOBODY)
        reply = yield request
        try:
            read(request, reply)
        except StrayAnswerError as error:
            text = message(reply).lower()
            if error.status != 404:
                raise
            if not text or "cannot get" in text:
                raise ConfigurationError(
                    f'base_url of connection "{self.connection.name}" does not lead to the partner API: {error}'
                ) from error
        return f"the key is accepted (tenant {self.connection.tenant})"

    def _case(self, case: Case) -> Flow[dict[str, Any]]:
        request = requests.case(case.known_id)
        reply = yield request
        return read_object(request, reply)


def _progress(answer: Mapping[str, Any]) -> Progress:
    word = status(answer)
    failed = CASE_ENDED.get(word, False)
    return Progress(
        finished=word in CASE_ENDED,
        case_status=word,
        failed=failed,
        error=(problem(answer) or "the vendor's assessment failed") if failed else None,
        unknown=() if word in CASE_ENDED or word in CASE_RUNNING else (word,),
    )


def _is_assessed(case: Case, answer: Mapping[str, Any]) -> bool:
    """Whether an assessment that covers all of the case's documents is certainly under way or done."""
    return status(answer) == "processing" or (status(answer) == "processed" and _is_stale(case, answer) is False)


def _is_stale(case: Case, answer: Mapping[str, Any]) -> bool | None:
    """Whether an assessment ended before documents were appended to its case, by the vendor's times.

    None if the times cannot be compared: some have a time zone and some do not.
    """
    ended = Stamp.of(answer.get("processing_completed_at"))
    own_ids = {each.document_id for each in case.documents}
    listed = [Stamp.of(each.get("uploaded_at")) for key, each in evidence_of(answer).items() if key in own_ids]
    uploads = [each for each in listed if each is not None]
    if ended is None or not uploads:
        return False
    if any(ended.at < each.at for each in uploads if each.zoned == ended.zoned):
        return True
    return False if all(each.zoned == ended.zoned for each in uploads) else None
