"""Shapes that the guides leave open, by a setting: deliveries, lists in a query, markdown, confidences."""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlencode

WebhookShape = Literal[
    "plain", "name_alone", "object_says", "mongo_id", "mongo_export", "list_of_ids", "list_of_objects", "documents",
    "number", "pascal", "event_data", "plural_type", "json_in_text", "json_as_text", "base64", "lines", "form",
    "nested_form", "multipart", "unknown",
]  # fmt: skip
"""How a delivery names its subject; ``number`` needs ids of digits (``id_shape``)."""
WebhookForm = Literal["plain", "packed", "packed_after_signing", "latin_1", "signed_twice", "capital_letters"]
"""How a delivery's bytes and signature come."""
IdShape = Literal["text", "number"]
"""The characters of DocuStack's and Docsumo's ids: letters and digits, or digits only."""
ArrayShape = Literal["repeat", "comma", "brackets"]
"""How a query writes a list."""
MarkdownShape = Literal[
    "bullets", "indented", "tight", "numbered", "plus", "dash", "dots", "table", "full_width", "bold", "headed",
    "quoted", "fenced", "bold_lines", "plain_lines", "ticked", "lettered", "arrows", "copied_dots", "unspaced",
    "wide_blanks", "in_one_line", "written_line_ends", "value_below", "broken_lines", "json",
]  # fmt: skip
"""How the Ombudsman's AI writes a case's own fields."""
ConfidenceShape = Literal[
    "share", "share_text", "percent", "percent_text", "percent_first", "comma", "words", "negative", "beyond", "missing"
]
"""How DocuStack gives a confidence."""

_NAMES = ("case_id", "document_id", "job_id")
_IDS: Mapping[str, Callable[[str, str], Any]] = {
    "name_alone": lambda kind, value: {kind: value},
    "object_says": lambda kind, value: {"data": {"object": kind, "id": value}},
    "mongo_id": lambda kind, value: {kind: {"_id": value}},
    "list_of_ids": lambda kind, value: {f"{kind}_ids": [value]},
    "list_of_objects": lambda kind, value: {f"{kind}s": [{"id": value}]},
    "mongo_export": lambda kind, value: {kind: {"_id": {"$oid": value}}},
    "number": lambda kind, value: {f"{kind}_id": int(value) if value.isdigit() else value},
    "pascal": lambda kind, value: {f"{kind.capitalize()}Id": value},
    "event_data": lambda kind, value: {"event": f"{kind}.updated", "data": {"id": value}},
    "plural_type": lambda kind, value: {"data": {"type": f"{kind}s", "id": value}},
}
_BOUNDARY = "between-the-parts"
_LINES: Mapping[str, Callable[[int, str, str], str]] = {
    "bullets": lambda _, name, value: f"- {name}: {value}",
    "indented": lambda number, name, value: f"{' ' * (number % 2)}- {name}: {value}",
    "tight": lambda _, name, value: f"- {name}:{value}",
    "numbered": lambda number, name, value: f"{number}. {name}: {value}",
    "plus": lambda _, name, value: f"+ {name}: {value}",
    "dash": lambda _, name, value: f"\u2013 {name}: {value}",
    "dots": lambda _, name, value: f"\u2022 {name}: {value}",
    "table": lambda _, name, value: f"| {name} | {value} |",
    "full_width": lambda _, name, value: f"- {name}\uff1a{value}",
    "bold": lambda _, name, value: f"- **{name}:** {'*Not found*.' if value == 'Not found' else f'**{value}**'}",
    "headed": lambda number, name, value: f"## Part {number}\n- {name}: {value}",
    "quoted": lambda _, name, value: f"> - {name}: {value}",
    "fenced": lambda _, name, value: f"- {name}: {value}",
    "bold_lines": lambda _, name, value: f"**{name}:** {value}  ",
    "plain_lines": lambda _, name, value: f"{name}: {value}",
    "ticked": lambda _, name, value: f"- [{' ' if value == 'Not found' else 'x'}] {name}: {value}",
    "lettered": lambda number, name, value: f"{chr(96 + number)}) {name}: {value}",
    "arrows": lambda _, name, value: f"\u27a4 {name}: {value}",
    "copied_dots": lambda _, name, value: f"\uf0b7 {name}: {value}",
    "unspaced": lambda _, name, value: f"-{name}: {value}",
    "wide_blanks": lambda _, name, value: f"-\u00a0{name}\u00a0: {value}",
    "in_one_line": lambda _, name, value: f"\u2022 {name}: {value}",
    "written_line_ends": lambda _, name, value: f"- {name}: {value}",
    "value_below": lambda _, name, value: f"- **{name}:**\n{value}",
    "broken_lines": lambda _, name, value: f"- {name}: {value}",
}


def delivery(body: Mapping[str, Any], shape: WebhookShape) -> str:
    """Return a delivery's body, with its ids in a shape."""
    if shape in _WHOLE:
        return _WHOLE[shape](body)
    if shape not in _IDS:
        return json.dumps(body)
    ids = _ids(body)
    rest = {name: value for name, value in body.items() if name not in {*ids, "documents"}}
    name, value = next(iter(ids.items()))
    return json.dumps({**rest, **_IDS[shape](name.removesuffix("_id"), value)})


def _ids(body: Mapping[str, Any]) -> dict[str, str]:
    return {name: body[name] for name in _NAMES if name in body}


def _form(body: Mapping[str, Any]) -> str:
    """Return a delivery as a form."""
    return urlencode({name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()})


def _nested_form(body: Mapping[str, Any]) -> str:
    """Return a delivery's event and ids as a form, ``case[id]=…`` as Rails and PHP write it."""
    named = {f"{name.removesuffix('_id')}[id]": value for name, value in _ids(body).items()}
    return urlencode({"event": str(body.get("event")), **named})


def _multipart(body: Mapping[str, Any]) -> str:
    """Return a delivery's event, and all of it as JSON, as the parts of a form."""
    fields = {"event": str(body.get("event")), "payload": json.dumps(body)}
    parts = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    return f"{''.join(parts)}--{_BOUNDARY}--\r\n"


def _documents(body: Mapping[str, Any]) -> str:
    """Return a delivery that names only its documents, or its ids if it has none."""
    alone = [{"doc_id": body["document_id"]}] if "document_id" in body else []
    listed = [{"document_id": each["doc_id"]} for each in (*alone, *body.get("documents", []))]
    return json.dumps({"event": body.get("event"), **({"documents": listed} if listed else _ids(body))})


_WHOLE: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "unknown": lambda body: json.dumps({"event": body.get("event"), "subject": "something happened"}),
    "documents": _documents,
    "json_in_text": lambda body: json.dumps({"event": body.get("event"), "payload": json.dumps(body)}),
    "json_as_text": lambda body: json.dumps(json.dumps(body)),
    "base64": lambda body: json.dumps({"message": {"data": base64.b64encode(json.dumps(body).encode()).decode()}}),
    "lines": lambda body: "\n".join(json.dumps(each) for each in ({"event": body.get("event")}, body)),
    "form": _form,
    "nested_form": _nested_form,
    "multipart": _multipart,
}


def content_type(body: str) -> str:
    """Return the media type of a delivery's body."""
    if body.startswith("--"):
        return f"multipart/form-data; boundary={_BOUNDARY}"
    return "application/json" if body[:1] in {"{", "[", '"'} else "application/x-www-form-urlencoded"


def posted(
    body: str, form: WebhookForm, proof: Callable[[bytes], Mapping[str, str]]
) -> tuple[bytes, list[tuple[str, str]]]:
    """Return a delivery's bytes and headers in a form; ``proof`` gives the headers that prove some bytes."""
    kind, content = content_type(body), body.encode()
    if form == "latin_1":
        if body.startswith("{"):
            body = f'{body.removesuffix("}")}, "by": "Zo\u00eb"}}'
        content, kind = body.encode("latin-1"), f"{kind}; charset=ISO-8859-1"
    sent = gzip.compress(content, mtime=0) if form in {"packed", "packed_after_signing"} else content
    headers = [*proof(content if form == "packed_after_signing" else sent).items()]
    if form == "capital_letters":
        headers = [(name, value.upper() if name.endswith("Signature") else value) for name, value in headers]
    if form == "signed_twice":
        headers *= 2
    packed = [("Content-Encoding", "gzip")] if sent != content else []
    return sent, [("Content-Type", kind), *packed, *headers]


def identifier(made: str, shape: IdShape) -> str:
    """Return a generated id, or one of digits only in its place."""
    return made if shape == "text" else str(int.from_bytes(hashlib.sha256(made.encode()).digest()[:6], "big"))


def listed(asked: Mapping[str, list[str]], names: tuple[str, ...], shape: ArrayShape) -> dict[str, list[str]]:
    """Return a query's values, with lists only in the given shape."""
    found = dict(asked)
    for name in names:
        if shape == "brackets":
            found.pop(name, None)
            if f"{name}[]" in found:
                found[name] = found.pop(f"{name}[]")
        elif shape == "comma" and name in found:
            found[name] = found[name][0].split(",")
    return found


def markdown(fields: Mapping[str, str], shape: MarkdownShape) -> str:
    """Return fields as the AI writes them."""
    if shape == "json":
        return json.dumps({name: None if value == "Not found" else value for name, value in fields.items()})
    lines = [_LINES[shape](number, name, value) for number, (name, value) in enumerate(fields.items(), 1)]
    between = {"in_one_line": " ", "written_line_ends": "\\n", "broken_lines": "\u2028"}.get(shape)
    if between is not None:
        return between.join(lines)
    head = ["| Field | Value |", "|---|---|"] if shape == "table" else []
    text = "\n".join([*head, *lines])
    return f"```markdown\n{text}\n```" if shape == "fenced" else text


def confidence(field: Mapping[str, Any], shape: ConfidenceShape) -> dict[str, Any]:
    """Return a field with its confidence in a shape."""
    share = float(field["confidence"])
    forms: dict[str, Any] = {
        "share": share,
        "share_text": f"{share}",
        "percent": round(share * 100),
        "percent_text": f"{round(share * 100)}%",
        "percent_first": f"%{round(share * 100)}",
        "comma": f"{share}".replace(".", ","),
        "negative": -share,
        "beyond": round(share * 100) + 100,
        "words": "high" if share > 0.8 else "low",
    }
    rest = {name: value for name, value in field.items() if name != "confidence"}
    return rest if shape == "missing" else {**rest, "confidence": forms[shape]}
