"""Start the local AWS: ``python -m local.aws``, from the repository's root, with the interpreter of ``.venv-local``.

Environment:
    GATEWAY_PORT: the port to serve, only on 127.0.0.1.
    TMPDIR: the folder to unpack functions' code in.
    DOSSIER_FUNCTIONS_PYTHON: the interpreter that runs functions of any Python runtime.
    DOSSIER_COMPILED_LAYER: the folder of a compiled layer (optional).
    DOSSIER_LOCAL_DATA: the folder to save state in (optional: without it, state ends with the process).
    DOSSIER_LOCAL_SAVE_SECONDS: seconds between two saves while the server runs (default 30).
    DOSSIER_LOCAL_REQUESTS: a file in which each request of a function's role is written down (optional).
    DOSSIER_LOCAL_WORKERS: the most execution environments of one function at a time (default 4).
"""

import os
import sys
from pathlib import Path

# MiniStack reads these at import. AUTH enforces IAM. The last two switch off listeners that Dossier does not need.
_SETTINGS = {"AUTH": "true", "BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}


def _persistence(data: Path) -> dict[str, str]:
    """Return the variables that make MiniStack store its state in a folder; create it if needed."""
    state, objects = data / "state", data / "s3"
    for folder in (state, objects):
        folder.mkdir(parents=True, exist_ok=True)
    return {"PERSIST_STATE": "1", "STATE_DIR": str(state), "S3_PERSIST": "1", "S3_DATA_DIR": str(objects)}


def main() -> None:
    """Install the bridges and serve until SIGTERM."""
    os.environ.update(_SETTINGS)
    # Functions inherit the server's variables and must not see its packages.
    os.environ.pop("PYTHONPATH", None)
    os.environ.setdefault("DOSSIER_FUNCTIONS_PYTHON", sys.executable)
    Path(os.environ.get("TMPDIR", ".")).mkdir(parents=True, exist_ok=True)
    if data := os.environ.pop("DOSSIER_LOCAL_DATA", ""):
        os.environ.update(_persistence(Path(data)))

    from local.aws import bridges, pinned  # noqa: PLC0415 - MiniStack reads the variables above at import

    bridges.install()
    try:
        pinned.app.main()
    finally:
        # The threads of executions that wait for a token would keep the interpreter alive.
        os._exit(0)


if __name__ == "__main__":
    main()
