"""Differences between a case and the one that already has its reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dossier.models import CaseInput, Document, OptionValue
from dossier.stores.cases import Case
from dossier.texts import counted, line

MOST = 5
"""Most differences that are named."""
LONGEST = 40
"""Characters of a name or a value that are shown."""


def differences(case: CaseInput, documents: Sequence[Document], known: Case) -> str:
    """Return what differs between a case and the one that has its reference, as the end of a sentence.

    Empty if nothing is known: the other case's documents may not be stored yet, or may have expired.
    """
    given, before = case.case_id, known.record.appends_to
    found = [
        *([f"case_id is {_shown(given)}, but was {_shown(before)}"] if given != before else []),
        *_of_options(case.options, known.record.options),
        *(_of_documents(documents, known.documents) if known.documents else ()),
    ]
    more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    return "; ".join([*found[:MOST], *more])


def _of_options(given: Mapping[str, OptionValue], before: Mapping[str, OptionValue]) -> Iterator[str]:
    for name in sorted({*given, *before}):
        if name not in given:
            yield f"option {_cut(name)} is left out, but was {_shown(before[name])}"
        elif name not in before:
            yield f"option {_cut(name)} is {_shown(given[name])}, but was not given"
        elif (given[name], type(given[name])) != (before[name], type(before[name])):
            yield f"option {_cut(name)} is {_shown(given[name])}, but was {_shown(before[name])}"


def _of_documents(given: Sequence[Document], before: Sequence[Document]) -> Iterator[str]:
    """Yield how the documents differ: in names, order, bytes or number."""
    new, old = [_content(each) for each in given], [_content(each) for each in before]
    if new == old:
        for one, other in zip(given, before, strict=True):
            if one.name != other.name:
                yield f"the same bytes are called {_shown(one.name)}, but were called {_shown(other.name)}"
        return
    names, former = {each.name: each for each in given}, {each.name: each for each in before}
    if sorted(new) == sorted(old) and names.keys() == former.keys():
        reordered = all(_content(each) == _content(former[name]) for name, each in names.items())
        yield "the documents are in another order" if reordered else "documents have exchanged names"
        return
    for name, each in names.items():
        if name in former and _content(each) != _content(former[name]):
            yield f"{_cut(name)} has other bytes" if each.sha256 else f"{_cut(name)} is at another place"
        elif name not in former:
            same = next((one.name for one in before if _content(one) == _content(each)), None)
            yield f"{_cut(name)} is new" + (f" (it has the bytes of {_cut(same)})" if same else "")
    for name in former:
        if name not in names:
            yield f"{_cut(name)} is left out"
    if len(given) != len(before) and names.keys() == former.keys():
        yield f"it has {counted(len(given), 'document')}, and had {len(before)}"


def _content(document: Document) -> str:
    return document.sha256 or document.ref or ""


def _shown(value: OptionValue) -> str:
    if value is None:
        return "not given"
    return f'"{_cut(value)}"' if isinstance(value, str) else str(value).lower()


def _cut(text: str) -> str:
    plain = line(text, 4 * LONGEST)
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…"
