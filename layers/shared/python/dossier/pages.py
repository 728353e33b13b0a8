"""Count the pages of a document while it is read once, in constant memory: vendors bill by the page.

A PDF has the number of its pages in the root of its page tree. The objects of a file are read in order; of two with
the same number the later one is in force (ISO 32000-1, 7.5.6), and objects may be compressed into others (7.5.7). A
TIFF has a directory for each page, each with the place of the next one (TIFF 6.0, section 2).

Nothing is decoded but what says how many pages there are, so a PDF whose page tree is encrypted or damaged has an
unknown number. The module imports nothing heavy, because every submission is counted.
"""

from __future__ import annotations

import re
import zlib
from typing import Protocol

from dossier import media

MOST_PAGES = 1_000_000
"""A count beyond this is a mistake."""
LONGEST_OBJECT = 1 << 20
"""Longest object of a PDF that is read, in bytes; a longer one has no count in its dictionary."""
LARGEST_PACK = 4 << 20
"""Most bytes of a PDF's packed objects that are unpacked."""
_OBJECT = re.compile(rb"(?<![0-9])(\d{1,10})[\x00\s]+\d{1,5}[\x00\s]+obj\b")
_END = re.compile(rb"endobj|(?<!end)stream(?=[\r\n])")
_STREAM_ENDS = b"endstream"
_NAME = rb"(?=[\x00\s/<>\[\]()%]|\Z)"
_IS_PAGES = re.compile(rb"/Type[\x00\s]*/Pages" + _NAME)
_IS_PAGE = re.compile(rb"/Type[\x00\s]*/Page" + _NAME)
_IS_CATALOG = re.compile(rb"/Type[\x00\s]*/Catalog" + _NAME)
_IS_PACK = re.compile(rb"/Type[\x00\s]*/ObjStm" + _NAME)
_COUNT = re.compile(rb"/Count[\x00\s]+(\d{1,9})" + _NAME)
_PARENT = re.compile(rb"/Parent[\x00\s]+\d")
_ROOT = re.compile(rb"/Pages[\x00\s]+(\d{1,10})[\x00\s]+\d{1,5}[\x00\s]+R")
_FIRST = re.compile(rb"/First[\x00\s]+(\d{1,9})" + _NAME)
_KEPT = 64
"""Bytes of an unfinished match that are kept for the next chunk."""


class _Format(Protocol):
    """Counts the pages of one format."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the document."""

    def pages(self) -> int | None:
        """Return the number of pages, or None if it is unknown."""


class PageCounter:
    """Counts the pages of one document, fed in chunks of any size.

    Images other than TIFF are one page. Of formats without fixed pages, such as DOCX, the number is unknown.
    """

    def __init__(self) -> None:
        self._head = b""
        self._format: _Format | None = None
        self._one = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the document."""
        if self._format is not None:
            self._format.feed(chunk)
            return
        self._head += chunk
        if len(self._head) >= media.HEAD:
            self._begin()

    @property
    def pages(self) -> int | None:
        """The number of pages of the data so far; None if it is unknown."""
        if self._format is None:
            self._begin()
        found = 1 if self._one else self._format.pages() if self._format else None
        return found if found is None or 0 < found <= MOST_PAGES else None

    def _begin(self) -> None:
        kind = media.sniff(self._head[: media.HEAD], "")
        self._one = kind in {media.PNG, media.JPEG, media.GIF, media.WEBP, media.BMP, media.HEIC, media.AVIF, media.JP2}
        self._format = _Pdf() if kind == media.PDF else _Tiff() if kind == media.TIFF else _Unknown()
        self._format.feed(self._head)
        self._head = b""


def count(body: bytes) -> int | None:
    """Return the number of pages of a whole document, or None if it is unknown."""
    counter = PageCounter()
    counter.feed(body)
    return counter.pages


class _Unknown:
    def feed(self, chunk: bytes) -> None:
        pass

    def pages(self) -> int | None:
        return None


class _Pdf:
    """Reads the objects of a PDF one after the other, and skips the contents of streams."""

    def __init__(self) -> None:
        self._data = b""
        self._at = 0
        """How far ``_data`` is read."""
        self._number = 0
        """Number of the object that is being read; 0 between objects."""
        self._stream: bytes | None = None
        """The dictionary of the stream that is being read."""
        self._packed: list[bytes] | None = None
        """The contents of that stream, if it packs objects."""
        self._root: int | None = None
        self._trees: dict[int, tuple[int, bool]] = {}
        """By the number of each node of the page tree: its count of pages, and whether it has no parent."""
        self._leaves: set[int] = set()

    def feed(self, chunk: bytes) -> None:
        self._data, self._at = self._data[self._at :] + chunk, 0
        while self._skip_stream() if self._stream is not None else self._read_object():
            pass

    def pages(self) -> int | None:
        if self._root is not None and self._root in self._trees:
            return self._trees[self._root][0]
        roots = [number for number, is_root in self._trees.values() if is_root]
        return roots[-1] if roots else len(self._leaves) or None

    def _read_object(self) -> bool:
        """Read an object up to its end or its stream; return False if that takes more bytes."""
        if not self._number:
            found = _OBJECT.search(self._data, self._at)
            if found is None:
                self._at = max(self._at, len(self._data) - _KEPT)
                return False
            self._number, self._at = int(found[1]), found.end()
        end = _END.search(self._data, self._at)
        if end is None:
            if len(self._data) - self._at > LONGEST_OBJECT:
                self._number, self._at = 0, len(self._data) - _KEPT
            return False
        dictionary, self._at = self._data[self._at : end.start()], end.end()
        if end[0] == b"endobj":
            self._take(self._number, dictionary)
            self._number = 0
        else:
            self._stream, self._packed = dictionary, [] if _IS_PACK.search(dictionary) else None
        return True

    def _skip_stream(self) -> bool:
        """Skip a stream's contents, or keep them if they are packed objects; return False if that takes more bytes."""
        end = self._data.find(_STREAM_ENDS, self._at)
        until = end if end >= 0 else max(self._at, len(self._data) - len(_STREAM_ENDS))
        if self._packed is not None:
            self._packed.append(self._data[self._at : until])
            if sum(map(len, self._packed)) > LARGEST_PACK:
                self._packed = None
        self._at = until
        if end < 0:
            return False
        if self._packed is not None:
            self._unpack(self._stream or b"", b"".join(self._packed).lstrip(b"\r\n"))
        self._stream, self._packed, self._number = None, None, 0
        return True

    def _unpack(self, dictionary: bytes, body: bytes) -> None:
        """Read the objects that a stream packs: pairs of number and offset, then the objects (7.5.7)."""
        first = _FIRST.search(dictionary)
        if first is None:
            return
        if b"/FlateDecode" in dictionary or b"/Fl" in dictionary:
            try:
                body = zlib.decompressobj().decompress(body, LARGEST_PACK)
            except zlib.error:
                return
        head = body[: int(first[1])].split()
        places = [int(each) for each in head if each.isdigit()]
        numbers, offsets = places[::2], places[1::2]
        for index, (number, offset) in enumerate(zip(numbers, offsets, strict=False)):
            begin = int(first[1]) + offset
            until = int(first[1]) + offsets[index + 1] if index + 1 < len(offsets) else len(body)
            self._take(number, body[begin:until])

    def _take(self, number: int, dictionary: bytes) -> None:
        """Note an object's count of pages; a later object of the same number replaces it."""
        if _IS_CATALOG.search(dictionary) and (root := _ROOT.search(dictionary)):
            self._root = int(root[1])
        elif _IS_PAGES.search(dictionary) and (counted := _COUNT.search(dictionary)):
            self._trees.pop(number, None)
            self._trees[number] = int(counted[1]), _PARENT.search(dictionary) is None
        elif _IS_PAGE.search(dictionary):
            self._leaves.add(number)


class _Tiff:
    """Follows the chain of a TIFF's directories forwards, as writers lay it out; one that goes backwards is unknown."""

    def __init__(self) -> None:
        self._data = b""
        self._begin = 0
        """Offset in the file of the first byte of ``_data``."""
        self._next: int | None = None
        """Where the next directory begins; 0 after the last one."""
        self._pages = 0
        self._order: str = "little"
        self._big = self._lost = False

    def feed(self, chunk: bytes) -> None:
        self._data += chunk
        if self._next is None and len(self._data) >= 16:
            self._order = "big" if self._data[:2] == b"MM" else "little"
            self._big = self._number(2, 2) == 43  # BigTIFF
            self._next = self._number(8, 8) if self._big else self._number(4, 4)
        while self._next and not self._lost and self._directory():
            pass
        ahead = (self._next or 0) - self._begin
        if self._next is not None and ahead > 0:  # nothing before the next directory is needed
            drop = min(ahead, len(self._data))
            self._data, self._begin = self._data[drop:], self._begin + drop

    def pages(self) -> int | None:
        return self._pages if self._next == 0 and not self._lost else None

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self._data[at : at + size], "big" if self._order == "big" else "little")

    def _directory(self) -> bool:
        """Read the next directory; return False if it is not there yet."""
        at = (self._next or 0) - self._begin
        head, entry, link = (8, 20, 8) if self._big else (2, 12, 4)
        if at < 0 or self._pages > MOST_PAGES:
            self._lost = True
            return False
        if len(self._data) < at + head:
            return False
        entries = self._number(at, head)
        end = at + head + entries * entry
        if entries > 0xFFFF:
            self._lost = True
            return False
        if len(self._data) < end + link:
            return False
        self._pages += not self._is_smaller_copy(at + head, entries, entry)
        self._begin, self._data, self._next = self._begin + end, self._data[end:], self._number(end, link)
        return True

    def _is_smaller_copy(self, at: int, entries: int, size: int) -> bool:
        """Whether a directory is a preview or a mask of another page (tag 254, NewSubfileType, bits 0 and 2)."""
        for place in range(at, at + entries * size, size):
            if self._number(place, 2) == 254:
                return bool(self._number(place + (12 if self._big else 8), 4) & 0b101)
        return False
