"""Shapes that the guides leave open, by a setting: deliveries, lists in a query, markdown, confidences."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlencode

WebhookShape = Literal[
    "plain", "name_alone", "object_says", "mongo_id", "list_of_ids", "list_of_objects", "json_in_text", "json_as_text",
    "form", "unknown",
]  # fmt: skip
"""How a delivery names its subject."""
ArrayShape = Literal["repeat", "comma", "brackets"]
"""How a query writes a list."""
MarkdownShape = Literal[
    "bullets", "indented", "tight", "numbered", "plus", "dash", "dots", "table", "full_width", "bold", "headed",
    "quoted", "fenced",
]  # fmt: skip
"""How the Ombudsman's AI writes a case's own fields."""
ConfidenceShape = Literal["share", "share_text", "percent", "percent_text", "comma", "words", "missing"]
"""How DocuStack gives a confidence."""

_NAMES = ("case_id", "document_id", "job_id")
_IDS: Mapping[str, Callable[[str, str], Any]] = {
    "name_alone": lambda kind, value: {kind: value},
    "object_says": lambda kind, value: {"data": {"object": kind, "id": value}},
    "mongo_id": lambda kind, value: {kind: {"_id": value}},
    "list_of_ids": lambda kind, value: {f"{kind}_ids": [value]},
    "list_of_objects": lambda kind, value: {f"{kind}s": [{"id": value}]},
}
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
}


def delivery(body: Mapping[str, Any], shape: WebhookShape) -> str:
    """Return a delivery's body, with its ids in a shape."""
    ids = {name: body[name] for name in _NAMES if name in body}
    if shape == "unknown":
        return json.dumps({"event": body.get("event"), "subject": "something happened"})
    if shape == "form":
        return urlencode({name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()})
    if shape == "json_in_text":
        return json.dumps({"event": body.get("event"), "payload": json.dumps(body)})
    if shape == "json_as_text":
        return json.dumps(json.dumps(body))
    if shape in _IDS:
        rest = {name: value for name, value in body.items() if name not in ids}
        rest = {name: value for name, value in rest.items() if name != "documents"}
        name, value = next(iter(ids.items()))
        return json.dumps({**rest, **_IDS[shape](name.removesuffix("_id"), value)})
    return json.dumps(body)


def content_type(body: str) -> str:
    """Return the media type of a delivery's body."""
    return "application/json" if body[:1] in {"{", "[", '"'} else "application/x-www-form-urlencoded"


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
    """Return fields as markdown in a shape."""
    lines = [_LINES[shape](number, name, value) for number, (name, value) in enumerate(fields.items(), 1)]
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
        "comma": f"{share}".replace(".", ","),
        "words": "high" if share > 0.8 else "low",
    }
    rest = {name: value for name, value in field.items() if name != "confidence"}
    return rest if shape == "missing" else {**rest, "confidence": forms[shape]}
