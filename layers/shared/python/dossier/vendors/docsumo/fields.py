"""Read values from the JSON files of a workflow. No API answer has them; the setting ``fields`` locates them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from dossier.http import decode
from dossier.ports import ARTIFACT
from dossier.result import FieldValue
from dossier.values import Keys, field
from dossier.vendors.docsumo.settings import Fields

MOST = 10_000
"""Most fields that are read."""


def read(settings: Fields, raw: Mapping[str, bytes], warnings: list[str]) -> list[FieldValue]:
    """Read the fields at the connection's path in the files that it names, in the order of the file names."""
    names = sorted(each.removeprefix(ARTIFACT) for each in raw if each.startswith(ARTIFACT))
    fitting = [each for each in names if fnmatchcase(each, settings.artifact)]
    if not fitting:
        warnings.append(f"fields: no file is called {settings.artifact}")
    import jmespath  # type: ignore[import-untyped]  # noqa: PLC0415 -- only where a connection has ``fields``

    keys, found = Keys(), list[FieldValue]()
    for name in fitting:
        try:
            value = jmespath.search(settings.path, decode(raw[ARTIFACT + name], constant=str))
        except (KeyError, ValueError, RecursionError) as error:
            warnings.append(f"fields: {name} cannot be read ({type(error).__name__})")
            continue
        read_here = [*_fields(value, settings, keys)]
        if not read_here:
            warnings.append(f"fields: {name} has no fields at {settings.path}")
        found += read_here
    return found[:MOST]


def _fields(value: Any, settings: Fields, keys: Keys) -> Iterator[FieldValue]:
    """Yield the fields of an object of values, of a list of such objects, or of a list of named fields."""
    if isinstance(value, list):
        for each in value:
            if isinstance(each, dict) and settings.value in each and _name(each, settings):
                yield _field(_name(each, settings), each, settings, keys)
            elif isinstance(each, dict | list):
                yield from _fields(each, settings, keys)
    elif isinstance(value, dict):
        for name, each in value.items():
            inner = each if isinstance(each, dict) and settings.value in each else {settings.value: each}
            yield _field(name, inner, settings, keys)


def _name(value: Mapping[str, Any], settings: Fields) -> str:
    said = next((value[key] for key in (settings.name, settings.key) if isinstance(value.get(key), str)), "")
    return said.strip()


def _field(name: str, value: Mapping[str, Any], settings: Fields, keys: Keys) -> FieldValue:
    key = value.get(settings.key)
    unique = keys.key(key if isinstance(key, str) and key.strip() else name)
    return field(unique, name, value.get(settings.value), confidence=value.get(settings.confidence))
