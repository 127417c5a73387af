"""The crasher: works for a few seconds, then fails, so that restarts and the back-off between them are seen."""

from __future__ import annotations

import os
import random
import sys
import time


def main() -> None:
    """Fails after one to four seconds."""
    attempt, last = os.environ["SUPERVISOR_ATTEMPT"], os.environ["SUPERVISOR_LAST_EXIT"] or "none"
    print(f"attempt {attempt} (the run before: {last}); this goes well for a while")
    time.sleep(random.uniform(1, 4))
    sys.exit("the disk is on fire (not really)")


if __name__ == "__main__":
    main()
