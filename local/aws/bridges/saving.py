"""State is also saved while the server runs.

MiniStack saves its state when it stops in order (``PERSIST_STATE``), and loses it when it is killed or the machine
loses power. The bridge is a thread that saves the state every ``DOSSIER_LOCAL_SAVE_SECONDS`` (30 by default). The whole
state is written each time, so a larger state is saved less often: saving takes at most a fiftieth of the time.
"""

import os
import threading
import time

from local.aws.pinned import app, require

_SECONDS = 30.0
_SHARE = 1 / 50


def install() -> None:
    """Install the bridge if state is saved at all."""
    require(callable(getattr(app, "save_all", None)), "app.save_all is gone")
    require(callable(getattr(app, "_build_persistence_save_dict", None)), "app._build_persistence_save_dict is gone")
    if app.PERSIST_STATE:
        seconds = float(os.environ.get("DOSSIER_LOCAL_SAVE_SECONDS") or _SECONDS)
        threading.Thread(target=_save_now_and_then, args=(seconds,), name="saving", daemon=True).start()


def _save_now_and_then(seconds: float) -> None:
    never, took = threading.Event(), 0.0
    while not never.wait(max(seconds, took / _SHARE)):
        began = time.monotonic()
        # MiniStack logs and skips a service whose state changes meanwhile; the next round saves it.
        app.save_all(app._build_persistence_save_dict())
        took = time.monotonic() - began
