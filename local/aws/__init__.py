"""The local AWS: MiniStack, with bridges where it differs from AWS in a way that affects Dossier.

It runs as a separate process, in a virtual environment that has only MiniStack: ``.venv-local/bin/python -m local.aws``
from the repository's root. This package imports no development package.
"""
