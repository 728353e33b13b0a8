"""Differences: why a case is not the one that has its reference already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dossier.models import CaseInput, Document, OptionValue
from dossier.stores.cases import Case
from dossier.texts import line

MOST = 5
"""Most differences that are named."""
LONGEST = 40
"""Characters of a name or a value that are shown."""


def differences(case: CaseInput, documents: Sequence[Document], known: Case) -> str:
    """Return what differs between a case and the one that has its reference, as the end of a sentence.

    Empty where nothing can be said: the other case's documents are not stored yet, or not any more.
    """
    found = [
        *_of_case_id(case.case_id, known.record.appends_to),
        *_of_options(case.options, known.record.options),
        *(_of_documents(documents, known.documents) if known.documents else ()),
    ]
    more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    return "; ".join([*found[:MOST], *more])


def _of_case_id(given: str | None, before: str | None) -> Iterator[str]:
    if given != before:
        yield f"case_id is {_shown(given)}, and was {_shown(before)}"


def _of_options(given: Mapping[str, OptionValue], before: Mapping[str, OptionValue]) -> Iterator[str]:
    for name in sorted({*given, *before}):
        if name not in given:
            yield f"option {_cut(name)} is left out, and was {_shown(before[name])}"
        elif name not in before:
            yield f"option {_cut(name)} is {_shown(given[name])}, and was not given"
        elif (given[name], type(given[name])) != (before[name], type(before[name])):
            yield f"option {_cut(name)} is {_shown(given[name])}, and was {_shown(before[name])}"


def _of_documents(given: Sequence[Document], before: Sequence[Document]) -> Iterator[str]:
    """Yield how the documents differ: in names, in their order, in bytes, or in which there are."""
    new, old = [_content(each) for each in given], [_content(each) for each in before]
    if new == old:
        for one, other in zip(given, before, strict=True):
            if one.name != other.name:
                yield f"the same bytes are called {_shown(one.name)}, and were called {_shown(other.name)}"
        return
    names, former = {each.name: each for each in given}, {each.name: each for each in before}
    if sorted(new) == sorted(old) and names.keys() == former.keys():
        yield "the documents are in another order" if _in_pairs(names, former) else "documents have exchanged names"
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
        yield f"there are {len(given)} documents, and were {len(before)}"


def _in_pairs(names: Mapping[str, Document], former: Mapping[str, Document]) -> bool:
    return all(_content(each) == _content(former[name]) for name, each in names.items())


def _content(document: Document) -> str:
    return document.sha256 or document.ref or ""


def _shown(value: OptionValue) -> str:
    if value is None:
        return "not given"
    return f'"{_cut(value)}"' if isinstance(value, str) else str(value).lower()


def _cut(text: str) -> str:
    plain = line(text, 4 * LONGEST)
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…"
