"""Start the local AWS: ``python -m local.aws``, from the repository's root, with the interpreter of ``.venv-local``.

Environment:
    GATEWAY_PORT: the port to serve, on 127.0.0.1 alone.
    TMPDIR: where functions' code is unpacked.
    DOSSIER_FUNCTIONS_PYTHON: the interpreter that functions run in, whatever Python runtime they ask for.
    DOSSIER_COMPILED_LAYER: the folder of a layer that was compiled beforehand (optional).
    DOSSIER_LOCAL_DATA: where state is saved and found again (optional: without it, state ends with the process).
    DOSSIER_LOCAL_SAVE_SECONDS: how often state is saved while the server runs (default 30).
    DOSSIER_LOCAL_WORKERS: how many execution environments one function may have at a time (default 4).
"""

import os
import sys
from pathlib import Path

# Read by MiniStack as it is imported. AUTH: IAM is always enforced. The two listeners that Dossier has no use for would
# take ports of their own.
_SETTINGS = {"AUTH": "true", "BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}


def _persistence(data: Path) -> dict[str, str]:
    """Return the variables that make MiniStack keep its state in a folder, which is made if needed."""
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

    from local.aws import bridges, pinned  # noqa: PLC0415 - MiniStack reads the variables above as it is imported

    bridges.install()
    try:
        pinned.app.main()
    finally:
        # Executions that wait for a token hold threads which would keep the interpreter alive until they end.
        os._exit(0)


if __name__ == "__main__":
    main()
