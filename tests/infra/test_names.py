"""Every file of ``infra/`` says in its name which construct it holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

INFRA = Path(__file__).parents[2] / "infra"
OTHERS = {
    *("assets", "dependencies", "encryption", "existing_secrets", "findings"),
    *("grants", "outputs", "settings", "version"),
}
"""Files without their own construct."""


def constructs(file: Path) -> list[str]:
    """Return the names of the constructs that a file defines, as a file would be called."""
    classes = [each for each in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(each, ast.ClassDef)]
    found = [each.name for each in classes if {ast.unparse(base) for base in each.bases} & {"Construct", "cdk.Stack"}]
    return [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().removeprefix("dossier_") for name in found]


@pytest.mark.parametrize("file", sorted(INFRA.glob("[!_]*.py")), ids=lambda file: file.stem)
def test_a_file_is_named_after_its_construct(file: Path) -> None:
    """One construct a file; what is not a construct is listed here."""
    assert constructs(file) == ([] if file.stem in OTHERS else [file.stem])
