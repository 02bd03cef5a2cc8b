"""A process that draws on the shared budget: `budget_process.py FILE PRIORITY WEIGHT SECONDS [throttle]`.

Prints one line a request it was granted: the instant, the weight, and how long it had waited.
"""

import random
import sys
import time
from pathlib import Path

from sigmapilot_core.adapters.hyperliquid.limiter import LimiterParams, Priority, SyncLimiter
from sigmapilot_core.adapters.hyperliquid.shared_window import SharedWindow

SMALL = LimiterParams(limit=300, margin=60, window_s=0.5, pause_s=(0.6, 0.7))


def say(*words: object) -> None:
    """One line, at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main(path: str, priority: str, weight: str, seconds: str, *more: str) -> None:
    rng = random.Random(int(time.monotonic() * 1e6))
    window = SharedWindow(Path(path), SMALL, rng)
    budget = SyncLimiter(SMALL, time.monotonic, time.sleep, rng, window)
    end = time.monotonic() + float(seconds)
    say("begun")
    while (asked := time.monotonic()) < end:
        budget.acquire(int(weight), Priority[priority])
        now = time.monotonic()
        say(asked, now, weight)
        if "throttle" in more and now > end - float(seconds) / 2:
            pause = budget.throttle()
            say("throttled", time.monotonic(), now + pause)
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
