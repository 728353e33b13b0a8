"""The layers that every function shares."""

from __future__ import annotations

import hashlib
from pathlib import Path

from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from dossier.connections import LAYER_FILE, LAYER_PACKAGE, dump
from infra.assets import code_of, generated
from infra.dependencies import dependency_folder
from infra.function import RUNTIME, architecture
from infra.settings import Settings


class Layers(Construct):
    """Three layers: Dossier's own package, third-party packages, and the connections' settings.

    They change independently: a new connection redeploys only a kilobyte.
    """

    def __init__(self, scope: Construct, id: str, *, settings: Settings) -> None:  # noqa: A002  # the CDK's own name
        super().__init__(scope, id)
        self._settings = settings
        dependencies = settings.dependency_layer or dependency_folder(settings.root, settings.architecture)
        self.all = [
            self._layer("Shared", settings.root / "layers" / "shared", "Dossier's own package"),
            self._layer("Dependencies", dependencies, "Dossier's third-party packages"),
            self._layer("Settings", settings_folder(settings), "Dossier's connections"),
        ]

    def _layer(self, name: str, folder: Path, description: str) -> lambda_.LayerVersion:
        return lambda_.LayerVersion(
            self,
            name,
            code=code_of(folder),
            description=description,
            compatible_runtimes=[RUNTIME],
            compatible_architectures=[architecture(self._settings)],
        )


def settings_folder(settings: Settings) -> Path:
    """Return the folder of the settings layer; write it if it does not exist yet."""
    text = dump(settings.connections)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]

    def fill(folder: Path) -> None:
        package = folder / "python" / LAYER_PACKAGE
        package.mkdir(parents=True)
        (package / "__init__.py").write_text('"""The connections of this deployment."""\n', encoding="utf-8")
        (package / LAYER_FILE).write_text(text, encoding="utf-8")

    return generated(settings.root / "build" / "settings" / key, fill)
