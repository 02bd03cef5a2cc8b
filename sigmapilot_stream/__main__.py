"""`python -m sigmapilot_stream`: the stream of the settings. With a broker this is the feed with the trading account,
and `python -m sigmapilot_stream worker [N]` is one of the workers that decide."""

from __future__ import annotations

import gc
import sys

if __name__ == "__main__":
    # nothing that imports make is garbage, and looking for it all the while takes a seventh of a start
    gc.disable()
    from sigmapilot_stream.program import run

    sys.exit(run(sys.argv[1:]))
