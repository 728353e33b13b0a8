"""``make simulate``, ``make scale``, ``make scale-batch``; shows the history of one case."""

from __future__ import annotations

import gc
import os
import sys

from tests.simulation import clock

clock.install()

from tests.simulation.command import main, work  # noqa: E402 -- after the clocks

clock.hold()
gc.set_threshold(100_000, 50, 1000)  # a history leaves little that is not freed at once
if __name__ == "__main__":
    if "--scale" in sys.argv:
        from tests.simulation.scale.command import main as scale

        clock.hold()
        sys.exit(scale(dict(os.environ)))
    if "--batch" in sys.argv:
        from tests.simulation.scale.batch_simulated import main as batch

        clock.hold()
        sys.exit(batch(sys.argv[-1]))
    sys.exit((work if "--worker" in sys.argv else main)(dict(os.environ)))
