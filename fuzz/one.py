"""Fuzzes one target: ``python -m fuzz.one TARGET [libFuzzer's options and corpus]``."""

from __future__ import annotations

import sys

import atheris

atheris.enabled_hooks.add("str")  # comparisons of texts guide the fuzzer too
with atheris.instrument_imports(include=["dossier", "tomllib", "urllib.parse", "httpx._urlparse", "httpx._urls"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """Run until libFuzzer ends it."""
    name, *options = sys.argv[1:]
    atheris.Setup([sys.argv[0], *options], TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
