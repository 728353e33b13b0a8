"""The sources of a result: the vendor's raw answers, and artifacts, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from dossier.ports import ARTIFACT
from dossier.stores.cases import ArtifactRecord
from dossier.stores.objects import Objects

LARGEST = 8 << 20
"""Largest artifact that is read for values, in bytes; decoded it needs many times that."""


class Kept(Mapping[str, bytes]):
    """Raw answers, and each stored artifact under ``ARTIFACT`` and its name. An artifact is read on access."""

    def __init__(
        self,
        answers: Mapping[str, bytes],
        artifacts: Iterable[ArtifactRecord],
        objects: Objects,
        *,
        instead: Mapping[str, ArtifactRecord] | None = None,
    ) -> None:
        """Create it; ``instead`` has the artifacts that are read as raw answers of these names, if there are none."""
        self._answers = answers
        self._keys = {f"{ARTIFACT}{each.name}": each.key for each in artifacts if each.key and each.size <= LARGEST}
        self._objects = objects
        self._keys |= {name: each.key for name, each in (instead or {}).items() if each.key and name not in answers}

    def __getitem__(self, what: str) -> bytes:
        if what not in self._keys:
            return self._answers[what]
        body = self._objects.read(self._keys[what])
        if body is None:
            raise KeyError(what)
        return body

    def __contains__(self, what: object) -> bool:
        return what in self._keys or what in self._answers

    def __iter__(self) -> Iterator[str]:
        yield from self._answers
        yield from self._keys

    def __len__(self) -> int:
        return len(self._answers) + len(self._keys)
