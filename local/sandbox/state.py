"""The sandbox's state: records and journal in one SQLite file, the documents' bytes as files beside it.

Records stay in memory and are written through. A request's changes and its journal entry are committed together, before
the answer leaves, so that a killed process has either done and recorded the work, or neither.
"""

import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (kind TEXT, id TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, id));
CREATE TABLE IF NOT EXISTS journal (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
"""


class Record(BaseModel):
    """A stored object with an id."""

    id: str


R = TypeVar("R", bound=Record)


class Store:
    """The state folder: the user's, or a temporary one, of documents alone, that is deleted with the process."""

    def __init__(self, folder: Path | None = None) -> None:
        self._temporary = None if folder else tempfile.TemporaryDirectory(prefix="sandbox-")
        self.folder = folder or Path(self._temporary.name if self._temporary else "")
        self.files.mkdir(parents=True, exist_ok=True)
        self.database = sqlite3.connect(folder / "sandbox.db" if folder else ":memory:", check_same_thread=False)
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute("PRAGMA synchronous = OFF")  # survives the process, but not a power loss
        self.database.executescript(SCHEMA)

    @property
    def files(self) -> Path:
        """The folder of documents and artifacts, each named by its SHA-256."""
        return self.folder / "files"

    def put(self, content: bytes) -> str:
        """Store bytes and return their SHA-256 in hex."""
        digest = hashlib.sha256(content).hexdigest()
        path = self.files / digest
        if not path.exists():
            partial = path.with_suffix(".part")
            partial.write_bytes(content)
            partial.replace(path)
        return digest

    def path(self, sha256: str) -> Path:
        """Return the path of the bytes with this SHA-256."""
        return self.files / sha256

    def commit(self) -> None:
        """Commit every change so far."""
        self.database.commit()

    def clear_files(self) -> None:
        """Delete every document."""
        shutil.rmtree(self.files)
        self.files.mkdir()

    def close(self) -> None:
        """Commit, close the database, and delete a temporary folder."""
        self.database.commit()
        self.database.close()
        if self._temporary:
            self._temporary.cleanup()


class Table(Generic[R]):
    """All records of one kind, oldest first."""

    def __init__(self, store: Store, kind: str, model: type[R]) -> None:
        self._store, self._kind = store, kind
        rows = store.database.execute("SELECT body FROM records WHERE kind = ? ORDER BY rowid", (kind,))
        self._rows: dict[str, R] = {row.id: row for row in (model.model_validate_json(body) for (body,) in rows)}

    def save(self, row: R) -> R:
        """Add or replace a record."""
        self._rows[row.id] = row
        self._store.database.execute(
            "INSERT INTO records VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            (self._kind, row.id, row.model_dump_json()),
        )
        return row

    def get(self, key: str) -> R | None:
        """Return the record with this id, or None."""
        return self._rows.get(key)

    def delete(self, key: str) -> None:
        """Delete a record."""
        self._rows.pop(key, None)
        self._store.database.execute("DELETE FROM records WHERE kind = ? AND id = ?", (self._kind, key))

    def clear(self) -> None:
        """Delete every record of this kind."""
        self._rows.clear()
        self._store.database.execute("DELETE FROM records WHERE kind = ?", (self._kind,))

    def __iter__(self) -> Iterator[R]:
        return iter(list(self._rows.values()))

    def __len__(self) -> int:
        return len(self._rows)
