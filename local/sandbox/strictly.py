"""Strict reading of requests: rejects fields that a vendor's guide does not name; bytes decide a file's kind."""

import io
import json
import re
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from local.sandbox.calls import INVALID, Refused

LARGEST_FILE = 25 * 1024 * 1024
UUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_MAGIC = {
    b"%PDF-": "pdf",
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"II*\x00": "tiff",
    b"MM\x00*": "tiff",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
}


@dataclass(frozen=True)
class SentFile:
    """A file of a form: the sender's name for it, its bytes, and their kind."""

    name: str
    content: bytes
    kind: str


@dataclass(frozen=True)
class Form:
    """A form's single fields, and its files by field."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[SentFile]] = field(default_factory=dict)


def kind_of(content: bytes) -> str:
    """Return a file's kind by its bytes: ``pdf``, ``png``, ``jpeg``, ``tiff``, ``gif``, ``docx``, or ``unknown``."""
    for magic, kind in _MAGIC.items():
        if content.startswith(magic):
            return kind
    if content.startswith(b"PK\x03\x04") and zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if "word/document.xml" in archive.namelist():
                return "docx"
    return "unknown"


def query(request: Request, *, single: Collection[str] = (), repeated: Collection[str] = ()) -> dict[str, list[str]]:
    """Return the query's values by name; reject an unknown name, and a second value for a single one."""
    values: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if name not in single and name not in repeated:
            raise Refused(INVALID, f"Unknown query parameter {name}", field=name, where="query")
        if name in single and name in values:
            raise Refused(INVALID, f"{name} must be given once", field=name, where="query")
        values.setdefault(name, []).append(value)
    return values


def whole_number(values: Mapping[str, list[str]], name: str, *, default: int, least: int, most: int) -> int:
    """Return a query parameter that is a whole number within bounds."""
    text = values.get(name, [str(default)])[0]
    if not re.fullmatch(r"\d{1,9}", text) or not least <= int(text) <= most:
        raise Refused(INVALID, f"{name} must be between {least} and {most}", field=name, where="query")
    return int(text)


async def form(request: Request, *, required: Collection[str], optional: Collection[str], files: str) -> Form:
    """Read a multipart form with exactly these fields, and files in one field.

    Raises:
        Refused: 415 for another content type; 400 for a broken body; ``INVALID`` for a field that is unknown, missing,
            empty or doubled, or for no file; 400 for an empty file and 413 for one of more than 25 MB.

    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise Refused(415, "Content-Type must be multipart/form-data")
    try:
        sent = await request.form()
    except (HTTPException, KeyError) as error:
        raise Refused(400, "The multipart body cannot be read") from error
    result = Form()
    for name, value in sent.multi_items():
        await _take(result, name, value, known={*required, *optional}, files=files)
    for name in required:
        if not result.fields.get(name):
            raise Refused(INVALID, f"{name} is required", field=name)
    if not result.files.get(files):
        raise Refused(INVALID, f"{files} is required", field=files)
    return result


async def _take(result: Form, name: str, value: UploadFile | str, *, known: Collection[str], files: str) -> None:
    if name == files and isinstance(value, UploadFile):
        result.files.setdefault(name, []).append(await _read(value, name))
    elif name == files:
        raise Refused(INVALID, f"{name} must be a file", field=name)
    elif name not in known or isinstance(value, UploadFile):
        raise Refused(INVALID, f"{name} is not a known field", field=name)
    elif name in result.fields:
        raise Refused(INVALID, f"{name} must be given once", field=name)
    else:
        result.fields[name] = value


async def _read(upload: UploadFile, name: str) -> SentFile:
    if not upload.size:
        raise Refused(400, "The file is empty", field=name)
    if upload.size > LARGEST_FILE:
        raise Refused(413, "The file is larger than 25 MB", field=name)
    content = await upload.read()
    return SentFile(name=upload.filename or "", content=content, kind=kind_of(content))


async def json_object(request: Request) -> dict[str, Any]:
    """Read a JSON object; reject anything else (415 for the content type, 400 for the body)."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if content_type != "application/json":
        raise Refused(415, "Content-Type must be application/json")
    try:
        value = json.loads(body)
    except ValueError as error:
        raise Refused(400, "The body is not JSON") from error
    if not isinstance(value, dict):
        raise Refused(400, "The body must be a JSON object")
    return value


def text_fields(body: Mapping[str, Any], *, required: Collection[str], optional: Collection[str]) -> dict[str, str]:
    """Return a JSON object's fields, if it has only these and all are text; an optional None counts as absent."""
    for name in body:
        if name not in required and name not in optional:
            raise Refused(INVALID, f"property {name} should not exist", field=name)
    given = {name: value for name, value in body.items() if value is not None or name in required}
    for name in [*required, *(name for name in given if name not in required)]:
        if not isinstance(given.get(name), str) or not given[name].strip():
            raise Refused(INVALID, f"{name} must be a non-empty string", field=name)
    return given
