"""The local AWS: MiniStack, bridged where it differs from AWS in a way that Dossier would notice.

Runs as a process of its own, inside a virtual environment that has MiniStack and nothing else:
``.venv-local/bin/python -m local.aws`` from the repository's root. Nothing in here imports a development package.
"""
