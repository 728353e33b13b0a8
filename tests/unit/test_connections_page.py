"""``docs/connections.md`` has every key of a connection, and marks those that are required."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from dossier import vendors

PAGE = (Path(__file__).parents[2] / "docs" / "connections.md").read_text(encoding="utf-8")
EVERY = "Every vendor"
REQUIRED = "**required**"


def rows(heading: str) -> dict[str, str]:
    """Return the keys in a section's first table, with their defaults."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^\| option|^## )", PAGE, re.MULTILINE | re.DOTALL)
    assert section
    found: dict[str, str] = {}
    for line in section[1].splitlines():
        if line.startswith("| `"):
            _, names, default, *_ = line.split("|")
            first = re.findall(r"`([^`]+)`", names)[0].rpartition(".")[0]
            for name in re.findall(r"`([^`]+)`", names):
                found[f"{first}{name}" if name.startswith(".") else name] = default
    return found


def keys(model: type[BaseModel], *above: str) -> Iterator[tuple[str, bool]]:
    """Yield every key that a table may have, and whether it must have it."""
    for name, field in model.model_fields.items():
        path = (*above, field.alias or name)
        kinds = [field.annotation, *get_args(field.annotation)]
        inner = next((each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel)), None)
        if inner is not None:
            yield from keys(inner, *path)
        elif path != ("name",):
            yield ".".join(path), field.is_required() or path == ("vendor",)


HEADINGS = {"docsumo": "Docsumo", "docustack": "DocuStack", "ombudsman": "Ombudsman"}


@pytest.mark.parametrize("vendor", vendors.names())
def test_the_page_has_every_key_and_marks_those_that_are_required(vendor: str) -> None:
    """Nothing is missing, nothing is left over, and a required key is seen to be one."""
    page = {**rows(EVERY), **rows(HEADINGS[vendor])}
    model = dict(keys(vendors.connection_model(vendor)))
    assert sorted(page) == sorted(model)
    assert {key for key, default in page.items() if REQUIRED in default} == {key for key, must in model.items() if must}
    for key, default in page.items():
        if REQUIRED in default and "." in key:
            assert f"in a `{key.partition('.')[0]}` table" in default


def test_each_vendors_own_keys_are_in_its_own_section() -> None:
    """A key of only one vendor is not among those of every vendor."""
    models = [set(dict(keys(vendors.connection_model(name)))) for name in vendors.names()]
    assert set(rows(EVERY)) == set.intersection(*models)
