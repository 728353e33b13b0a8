"""The Docsumo adapter: the first upload creates the case; one list of cases serves all polls."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TypeAlias

from dossier.alike import pair
from dossier.errors import (
    CaseFailedError,
    MalformedAnswerError,
    NeedsAttentionError,
    OutcomeUnknownError,
    ThrottledError,
    VendorRejectedError,
    VendorUnavailableError,
)
from dossier.http import Flow
from dossier.lost import Candidate, Fit, check_name, check_named, choice, choose, fit, is_new, labels, suspects
from dossier.media import JPEG, PDF, PNG, TIFF, XLSX
from dossier.models import Document
from dossier.options import Option, text_of
from dossier.ports import (
    Artifact,
    CaseView,
    Changed,
    DocumentState,
    Found,
    Hint,
    Intent,
    Location,
    Progress,
    Seen,
    Uploaded,
    Vendor,
    never,
)
from dossier.replies import missing
from dossier.result import UNFINISHED, Result
from dossier.stamps import Stamp
from dossier.vendors.docsumo import answers, fields, flows, requests, results
from dossier.vendors.docsumo.answers import Entry, File, Sent
from dossier.vendors.docsumo.guide import DOCUMENTED, REFUSAL
from dossier.vendors.docsumo.hints import read_hint
from dossier.vendors.docsumo.matching import is_processed, is_read, is_settled, match, unknown
from dossier.vendors.docsumo.options import options
from dossier.vendors.docsumo.settings import DocsumoConnection

Case: TypeAlias = CaseView[DocsumoConnection]
REQUEST_BYTES = 100_000_000
"""Most bytes of documents in one upload request; a larger case is sent in several requests."""

TELLING = (
    "modified_at", "modified_date", "updated_at", "size", "version", "checksum", "md5", "sha256", "etag",
)  # fmt: skip
"""Attributes of a file's list entry that change with its content; the guide has none of them."""
SAID = ("filename", "status", "created_at", "created_date", *TELLING)
"""The attributes of a file's list entry that are compared; the guide has the first three."""
LAG = timedelta(seconds=30)
"""For this long after an upload a list entry that is dated before it is not trusted."""
CANDIDATES = 200
"""Most cases whose files are listed to look up a lost upload; if there are more, an operator is asked."""
EARLY_CANDIDATES = 5
"""The same before the intent has settled: most candidates then belong to requests whose answers are on their way."""
NOT_LISTED = "the vendor's answer does not list it"
_LOST = "an upload's answer was lost"


class Docsumo(Vendor[DocsumoConnection]):
    """Docsumo's case API.

    The first upload creates the case that the others append to, so they run one by one; the last one triggers the
    workflow. A case finishes as a whole.
    """

    name = "docsumo"
    called = "Docsumo"
    media_types = frozenset({PDF, PNG, JPEG, TIFF, XLSX})
    max_document_bytes = 25 * 1024 * 1024
    phases = ("results",)
    bulk_poll = True
    lists = True
    dates_changes = True
    documented = DOCUMENTED
    once = (results.UPLOAD, results.AFTER)
    refusal = REFUSAL

    @property
    def key_header(self) -> str:
        """The connection's ``key_header`` (guide, "Authentication & Headers")."""
        return self.connection.key_header

    def options(self) -> tuple[Option, ...]:
        """Return the options that the connection's cases may have."""
        return options(self.connection)

    def batches(self, case: Case) -> Sequence[Sequence[int]]:
        """Return one batch with all documents, or as few batches of at most ``REQUEST_BYTES`` as possible."""
        batches: list[list[int]] = []
        size = 0
        for each in case.documents:
            size += each.size
            if not batches or size > REQUEST_BYTES:
                batches.append([])
                size = each.size
            batches[-1].append(each.index)
        return batches

    def before_upload(self, case: Case, batch: Sequence[int]) -> Flow[frozenset[str]]:
        """Return the ids of the case's files; none, without a request, if the case is not created yet.

        The look-up of a lost create compares with ``listed`` instead.
        """
        if case.case_id is None:
            return frozenset()
        files = yield from flows.search_files(case.case_id)
        return frozenset(_labels(files))

    def listed(self) -> Flow[Seen]:
        """Read the first page of each case type's list, latest created first (guide 1.B)."""
        ids, whole, dated = list[str](), True, True
        for casetype in self.connection.casetypes:
            seen = yield from flows.newest(_with(self.connection, casetype))
            ids, whole, dated = [*ids, *seen.ids], whole and seen.whole, dated and seen.dated
        return Seen(tuple(ids), whole=whole, dated=dated)

    def upload(self, case: Case, batch: Sequence[int]) -> Flow[Uploaded]:
        """Upload a batch: create the case, or append to it once it has an id (guide 1.A, 1.C).

        Only the last batch triggers the workflow. The answer's ``documents[]`` is compared with what was sent, by name
        and order: a document that is missing or reported as failed is in ``failures``, every other one has an id.

        Raises:
            OutcomeUnknownError: a success without the ids that the guide promises; also the errors of
                ``dossier.replies.read``.
            NeedsAttentionError: the vendor added the documents to another case.
            CaseFailedError: this is not the first batch, and there is no case.

        """
        last = batch[-1] == case.documents[-1].index
        if case.case_id is None and batch[0] != case.documents[0].index:
            raise CaseFailedError("the case's first documents did not reach the vendor, so there is no case to add to")
        documents = case.batch(batch)
        request = requests.upload(
            _of(case),
            documents,
            case_id=case.case_id,
            trigger_workflow=last and _triggers(case),
            keep=f"{results.UPLOAD}{batch[0]}",
        )
        reply = yield request
        answer = answers.upload_answer(request, reply)
        if case.case_id is not None and answer.case_id != case.case_id:
            raise NeedsAttentionError(
                f"the vendor's answer puts documents for case {case.case_id} into case {answer.case_id}: check where "
                f"they are"
            )
        uploaded = _compared(answer.case_id, documents, answer.documents)
        if uploaded is None:
            raise OutcomeUnknownError(
                f"the answer for case {answer.case_id} has documents of other names, and not all that were sent"
            )
        if not {each.index for each in documents} <= {*uploaded.document_ids, *uploaded.failures}:
            raise missing(request, reply, "doc_id")
        return uploaded

    def find_uploaded(self, case: Case, batch: Sequence[int], intent: Intent) -> Flow[Uploaded | None]:
        """Look up the effect of an upload whose answer was lost; None if it created nothing.

        The case that an operator names (``Intent.adopt``) is adopted if it has as many files as were sent. An adopted
        upload has *file* ids in ``document_ids``, because the file search does not return a ``doc_id``.

        Raises:
            NeedsAttentionError: more than one case or file may be the upload's, its files do not prove it, or another
                request in flight may have created it.

        """
        documents = case.batch(batch)
        if intent.adopt is not None:
            return (yield from _named(case, documents, intent, intent.adopt))
        if case.case_id is not None:
            files = yield from flows.search_files(case.case_id)
            return _appended(case.case_id, documents, files, intent)
        found, proven = yield from flows.look_back(_of(case), intent)
        entries = [each.entry for each in found]
        left = suspects(entries, intent)
        if len(left) > (CANDIDATES if intent.settled else EARLY_CANDIDATES):
            raise NeedsAttentionError(f"{len(left)} cases may be the one whose answer was lost: too many to check")
        ids = {each.entry.id: each.case_id for each in found}
        sent = [each.name for each in documents]
        candidates: list[Candidate] = []
        files_of: dict[str, list[File]] = {}
        for each in left:
            case_id = ids[each.id]
            if case_id is not None:
                files_of[each.id] = yield from flows.search_files(case_id, shared=intent.settled)
            names = [file.name for file in files_of.get(each.id, ())]
            new = is_new(each, entries, intent)
            known = tuple(name for name in names if name)
            candidates.append(Candidate(each.id, known, fit(sent, names), new=new, created=each.created))
        chosen = choose(candidates, intent, lost=_LOST, proven=proven)
        return None if chosen is None else _adopted(chosen.id, documents, files_of[chosen.id])

    def poll_results(
        self, cases: Sequence[Case], *, start: int = 0, spent: Callable[[], bool] = never
    ) -> Flow[Mapping[str, Progress]]:
        """Read the cases' progress from the list, latest change first, no further than needed (guide 1.B).

        All cases belong to one connection; each case type has its own list. A case is finished if it matches the
        connection's ``done`` or has a failing status; its files are read too. Once one case is known to be finished, a
        429 or the end of the time stops the flow, and ``rest`` says where to continue.
        """
        stands = Found()
        types = list(dict.fromkeys(each for case in cases if case.case_id for each in _casetypes(case)))
        for casetype in types:
            there = [each for each in cases if casetype in _casetypes(each) and each.case_id not in stands]
            wanted = {each.case_id for each in there if each.case_id}
            if not wanted:
                continue
            place = flows.Place(start if len(types) == 1 else 0)
            connection = _with(cases[0].connection, casetype)
            found = yield from flows.find_cases(connection, wanted, since=_since(there), place=place, spent=spent)
            stands.rest = None if place.ended or len(types) > 1 else place.offset
            listed_at = max(place.answered, default=None)
            for case_id, entry in found.items():
                mine = [each for each in there if each.case_id == case_id]
                known = any(each.finished for each in stands.values())
                try:
                    stand = None if known and spent() else (yield from _stands(mine, entry, connection, listed_at))
                except ThrottledError:
                    if not known:
                        raise
                    stand = None
                if stand is None:  # keep the states known by now; the next poll asks about the others
                    stands.rest = start
                    return stands
                stands[case_id] = stand
        return stands

    def artifacts(self, case: Case) -> Flow[Sequence[Artifact]]:
        """List the case's files that the connection includes, by name and id; also store the case's list entry."""
        if case.case_id is None:
            return ()
        connection = case.connection
        _, entry = yield from _find(case, since=_since([case]), keep=results.CASE)
        if _waits_for_nothing(case) and not (entry and results.is_done(entry, connection.done)):
            return ()  # no workflow produces anything from the documents
        files = yield from _files(case, connection)
        listed = {each.id: each for each in files if each.id}
        artifacts: list[Artifact] = []
        for name, file_id in sorted((each.name or file_id, file_id) for file_id, each in listed.items()):
            if not any(fnmatchcase(name, pattern) for pattern in connection.artifacts.include):
                continue
            file = listed[file_id]
            facts = {key: file.raw[key] for key in SAID if key in file.raw}
            unfinished = None if is_processed(file) else f'{UNFINISHED} (the vendor says "{file.status}")'
            tells = not file.raw.keys().isdisjoint(TELLING)
            artifacts.append(Artifact(name, file_id, mimetypes.guess_type(name)[0], facts, unfinished, tells=tells))
        return tuple(artifacts)

    def locate(self, case: Case, artifact: Artifact) -> Flow[Location]:
        """Request a file's temporary URL and return it byte for byte (guide 2, step 2).

        Raises:
            DossierError: the errors of ``dossier.replies.read``.

        """
        request = requests.download_url(case.known_id, artifact.source)
        return Location(url=answers.download_url(request, (yield request)))

    def finish(self, case: Case) -> Flow[None]:
        """Set the stage, assignee and name from the case's options or the connection's ``after`` (guide 1.D).

        An option overrides the setting. A create takes no title, so ``case_title`` is set here.

        For a case that is only collected, values that are already set are not sent again: the vendor would report a
        change, and Dossier would collect the case once more.
        """
        after = case.connection.after
        changes = {
            "stage_id": text_of(case.options, "after_stage_id") or after.stage_id,
            "assigned_to": text_of(case.options, "after_assigned_to") or after.assigned_to,
            "case_name": _title(case),
        }
        if case.case_id is None or not any(changes.values()):
            return
        connection = _of(case)
        if not case.documents:
            casetype, found = yield from _find(case, since=None)
            current = found.raw if found else {}
            changes = {key: None if current.get(key) == value else value for key, value in changes.items()}
            connection = _with(connection, casetype)
        if any(changes.values()):
            yield from flows.update_case(connection, case.case_id, **changes, keep=results.AFTER)

    def read_result(self, case: Case, raw: Mapping[str, bytes]) -> Result:
        """Build the result from the stored list entry, file search and uploads. Never raises."""
        settings, triggered = case.connection, not _waits_for_nothing(case)
        result = results.read_result(case, settings.done, raw, title=_title(case), triggered=triggered)
        if settings.fields is not None and result.status != "failed":
            result.fields = fields.read(settings.fields, raw, result.warnings)
        return result

    def facts(self, what: str, body: bytes) -> bytes:
        """Return the ids, names and states in the answer to an upload, or to the after-steps."""
        return results.facts(what, body)

    def modified(self, case: Case, raw: Mapping[str, bytes]) -> str | None:
        """Return the ``modified_date`` of the list entry, or of the after-steps' answer if that is later."""
        return results.modified(case, raw)

    def later(self, one: str, other: str) -> bool | None:
        """Compare two times of change; None if one is missing or only one of them has a time zone."""
        first, second = Stamp.of(one), Stamp.of(other)
        if first is None or second is None or not (first.before(second) or second.before(first)):
            return None
        return second.before(first)

    @classmethod
    def read_hint(cls, body: bytes) -> Hint | None:
        """Return the case ids that a delivery names; see :func:`dossier.vendors.docsumo.hints.read_hint`."""
        return read_hint(body)

    def changed(self, since: Mapping[str, str]) -> Flow[Changed]:
        """Read each case type's list, the latest change first, down to ``since`` of it (guide 1.B)."""
        cases, seen = dict[str, str](), dict[str, str]()
        for casetype in self.connection.casetypes:
            place = flows.Place()
            stamp = Stamp.of(since.get(casetype, since.get("")))
            more, mark = yield from flows.changed(_with(self.connection, casetype), stamp, place)
            mark = mark and flows.not_ahead(mark, min(place.answered, default=None))
            cases |= more
            seen |= {casetype: mark} if mark else {}
        return Changed(cases, seen)

    def concerns(self, hint: Hint) -> bool:
        """Whether the delivery names no case type, or at least one of the connection's."""
        return not hint.scopes or not {*self.connection.casetypes}.isdisjoint(hint.scopes)

    def having(self, case_ids: Sequence[str]) -> Flow[frozenset[str]]:
        """Look up the cases in the lists of the connection's case types (guide 1.B)."""
        found = frozenset[str]()
        for casetype in self.connection.casetypes:
            missing = {*case_ids} - found
            found |= (yield from flows.having(_with(self.connection, casetype), missing)) if missing else found
        return found

    def created(self, since: datetime, recorded: Mapping[str, datetime]) -> Flow[Mapping[str, datetime]]:
        """Read each case type's list, latest created first, back to ``since`` (guide 1.B)."""
        found: dict[str, datetime] = {}
        for casetype in self.connection.casetypes:
            found |= yield from flows.created_since(_with(self.connection, casetype), since, recorded)
        return found

    def check(self) -> Flow[str]:
        """List one case, which proves URL, key and case type."""
        settings = self.connection
        request = requests.list_cases(settings, limit=1, sort_by="created_date.desc")
        page = answers.page(request, (yield request))
        count = "unknown" if page.total is None else page.total
        return f"case type {settings.casetype_id} answers (cases: {count})"


def _stands(
    cases: Sequence[Case], entry: Entry, connection: DocsumoConnection, listed_at: datetime | None
) -> Flow[Progress]:
    """Return the progress of a case at the vendor; ``cases`` are our cases for it."""
    progress = _progress(entry, connection)
    for case in cases if not progress.failed else ():
        if progress.finished and _is_from_before(case, entry, listed_at):
            progress = replace(progress, finished=False)
        elif progress.finished:
            progress = yield from _settled(case, progress)
    return replace(progress, finished=True) if all(_waits_for_nothing(each) for each in cases) else progress


def _is_from_before(case: Case, entry: Entry, listed_at: datetime | None) -> bool:
    """Whether a list entry may be older than the case's last upload.

    A list lags behind by seconds. The vendor's web server and its list may have different clocks, so an entry that is
    dated before the upload is doubted only for ``LAG``, by the web server's clock.
    """
    if case.sent_at is None or listed_at is None or listed_at - case.sent_at > LAG:
        return False
    return entry.modified is not None and entry.modified.before(Stamp(case.sent_at, zoned=True))


def _settled(case: Case, progress: Progress) -> Flow[Progress]:
    """Confirm that a case whose list entry counts as finished has processed the files that were uploaded."""
    try:
        files = yield from flows.search_files(case.known_id)
    except ThrottledError:
        raise
    except (VendorUnavailableError, VendorRejectedError, MalformedAnswerError):
        return replace(progress, finished=False)  # an error for one case must not hide the others
    own_files = match(case, files).own
    documents = dict(progress.documents)
    for each in case.documents:
        if each.document_id and each.index in own_files:
            file = own_files[each.index]
            error = results.failure(file.status, file.error)
            documents[each.document_id] = DocumentState(
                file.status or "", finished=is_read(file), failed=error is not None, error=error
            )
    words = (*progress.unknown, *unknown(case, files))
    return replace(progress, finished=is_settled(case, files), documents=documents, unknown=words)


def _files(case: Case, connection: DocsumoConnection) -> Flow[Sequence[File]]:
    """Search the case's files; if an empty query returns none although there are documents, search by their names."""
    case_id, query = case.known_id, connection.artifacts.query
    files = yield from flows.search_files(case_id, query=query, keep=results.FILES)
    if files or query:
        return files
    found: dict[str | None, File] = {}
    for number, name in enumerate(dict.fromkeys(each.name for each in case.documents)):
        named = yield from flows.search_files(case_id, query=name, keep=f"{results.NAMED}{number}")
        found |= {each.id: each for each in named}
    return list(found.values())


def _waits_for_nothing(case: Case) -> bool:
    """Whether the case's documents are only uploaded: no workflow runs, so there will be no result."""
    return bool(case.documents) and not _triggers(case)


def _triggers(case: Case) -> bool:
    """Whether the case's workflow runs: its option, else the connection's setting."""
    option = case.options.get("trigger_workflow")
    if option is None:
        return case.connection.trigger_workflow
    return option not in (False, "false")


def _with(connection: DocsumoConnection, casetype: str) -> DocsumoConnection:
    """Return the connection's settings for one of its case types."""
    return connection.model_copy(update={"casetype_id": casetype})


def _of(case: Case) -> DocsumoConnection:
    """Return the connection's settings for the case's own type."""
    connection = case.connection
    return _with(connection, text_of(case.options, "casetype_id") or connection.casetype_id)


def _casetypes(case: Case) -> tuple[str, ...]:
    """Return the case types that a case may have; a case that is only collected may have any of the connection's."""
    chosen = text_of(case.options, "casetype_id")
    if chosen or case.documents:
        return (_of(case).casetype_id,)
    return case.connection.casetypes


def _find(case: Case, *, since: datetime | None, keep: str | None = None) -> Flow[tuple[str, Entry | None]]:
    """Return a case's type and its list entry; the entry is None if no list has the case."""
    case_id = case.known_id
    for casetype in _casetypes(case):
        found = yield from flows.find_cases(_with(_of(case), casetype), {case_id}, since=since, keep=keep)
        if case_id in found:
            return casetype, found[case_id]
    return _of(case).casetype_id, None


def _title(case: Case) -> str | None:
    """Return the name that ``finish`` sets, or None to leave the vendor's."""
    given = case.connection.after.case_name
    return text_of(case.options, "case_title") or (given and given.replace("{reference}", case.reference))


def _compared(case_id: str, sent: Sequence[Document], listed: Sequence[Sent]) -> Uploaded | None:
    """Match the sent documents with the answer's list, by name; if none is missing, match unknown names by position.

    None if the names do not show which documents were accepted.
    """
    pairs = {
        sent[place].index: listed[other]
        for place, other in pair([each.name for each in sent], [each.name for each in listed]).found.items()
    }
    unmatched = [each.index for each in sent if each.index not in pairs]
    left = [each for each in listed if not any(each is other for other in pairs.values())]
    if len(unmatched) == len(left):
        pairs.update(zip(unmatched, left, strict=True))
    elif unmatched and left:
        return None
    failures: dict[int, str] = {}
    for each in sent:
        answered = pairs.get(each.index)
        reason = results.failure(answered.status, answered.error) if answered else NOT_LISTED
        if reason:
            failures[each.index] = reason
    document_ids = {index: each.doc_id for index, each in sorted(pairs.items()) if each.doc_id}
    return Uploaded(case_id=case_id, document_ids=document_ids, failures=failures)


def _labels(files: Iterable[File]) -> list[str]:
    return labels(each.raw.get("id") for each in files)


def _new(files: Sequence[File], intent: Intent) -> list[File]:
    """Return the files that the case did not have before the request."""
    return [each for label, each in zip(_labels(files), files, strict=True) if label not in intent.known]


def _appended(case_id: str, documents: Sequence[Document], files: Sequence[File], intent: Intent) -> Uploaded | None:
    """Decide by a case's new files whether an append took effect; the workflow may have added files itself."""
    new = _new(files, intent)
    before = {*(intent.seen.ids if intent.seen else ())}
    if not new and before and not before & {*_labels(files)}:
        raise NeedsAttentionError(f"{_LOST}; case {case_id} no longer lists the files that it had before")
    if not new:
        return None
    sent, listed = [each.name for each in documents], [each.name for each in new]
    pairs = pair(sent, listed)
    rivals = intent.rivals or any(fit(names, listed) in {Fit.SAME, Fit.ALIKE} for names in intent.others if names)
    if len(pairs.found) == len(sent) and not pairs.unsure and not rivals and (pairs.exact or intent.settled):
        return _adopted(case_id, documents, new)
    shown = ", ".join(each.name or each.id or "one without a name" for each in new[:5])
    files_of_it = [choice(each.id, [each.name], Stamp.of(each.raw.get("created_at"))) for each in new if each.id]
    whole = [choice(case_id, listed, None)] if len(new) == len(sent) or len(pairs.found) == len(sent) else []
    raise NeedsAttentionError(
        f"{_LOST}; case {case_id} has new files, and they may not be the ones that were sent: {shown}",
        choices=files_of_it if len(sent) == 1 else whole,
    )


def _named(case: Case, documents: Sequence[Document], intent: Intent, named: str) -> Flow[Uploaded]:
    """Look up the case that an operator named, or the one file that an upload added to the case."""
    if case.case_id is not None and named != case.case_id:
        files = _new((yield from flows.search_files(case.case_id)), intent)
        check_named(named, intent, case.documents)
        file = next((each for each in files if each.id == named), None)
        if file is None or len(documents) > 1:
            or_file = ", nor a new file of it" if len(documents) == 1 else ""
            raise NeedsAttentionError(f"{named} is not case {case.case_id}, to which the upload adds{or_file}")
        check_name(named, [documents[0].name], [file.name], intent)
        return _adopted(case.case_id, documents, [file])
    if case.case_id is None:
        check_named(named, intent, ())
        if intent.thorough and not (yield from flows.having(_of(case), {named})):
            kind = _of(case).casetype_id
            raise NeedsAttentionError(f"{named} is not in the list of the connection's case type {kind}")
    new = _new((yield from flows.search_files(named)), intent)
    sent, listed = [each.name for each in documents], [each.name for each in new]
    if len(pair(sent, listed).found) < len(documents) and len(new) != len(documents):
        raise NeedsAttentionError(
            f"case {named} does not have all the files that were sent: it has {len(new)}, {len(documents)} were sent, "
            "and their names do not say which is which"
        )
    uploaded = _adopted(named, documents, new)
    check_name(named, sent, listed, intent)
    return uploaded


def _adopted(case_id: str, documents: Sequence[Document], files: Sequence[File]) -> Uploaded:
    """Assign each document the file of its name, and the remaining documents the remaining files in order."""
    found = pair([each.name for each in documents], [each.name for each in files]).found
    left = iter([place for place in range(len(files)) if place not in found.values()])
    ids: dict[int, str] = {}
    for place, each in enumerate(documents):
        file = files[found[place] if place in found else next(left)]
        if file.id is None:
            raise NeedsAttentionError(f"{_LOST}; it created case {case_id}, but a file there has no usable id")
        ids[each.index] = file.id
    return Uploaded(case_id=case_id, document_ids=ids)


def _since(cases: Iterable[Case]) -> datetime | None:
    """Return the earliest time of the cases' last change; None if one is only collected, as it may be old."""
    times = [each.submitted_at if each.documents else None for each in cases if each.case_id]
    known = [each for each in times if each is not None]
    return min(known) if known and len(known) == len(times) else None


def _progress(entry: Entry, connection: DocsumoConnection) -> Progress:
    failed = results.gave_up(entry, connection.done)
    known = answers.KNOWN | {each.lower() for each in connection.done.status}
    unknown = entry.status is not None and entry.status.lower() not in known
    return Progress(
        finished=failed or results.is_done(entry, connection.done),
        case_status=entry.status,
        failed=failed,
        error=results.failure(entry.status, entry.error) if failed else None,
        unknown=(entry.status,) if unknown and entry.status is not None else (),
    )
