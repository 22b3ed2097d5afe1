"""``SCHEDULES=500 SEED=0 python -m tests.soak``: play schedules, print those that failed, and the totals."""

from __future__ import annotations

import logging
import os
import sys
from itertools import islice

from tests.soak.comparison import Verdict
from tests.soak.play import play_all
from tests.soak.schedule import KINDS, schedule

AT_ONCE = 10


def main() -> int:
    """Play them, some at once; return 1 if a promise was broken."""
    logging.disable(logging.WARNING)  # there is one for each attempt of a receiver that failed
    count, first = int(os.environ.get("SCHEDULES") or 500), int(os.environ.get("SEED") or 0)
    total, played = Verdict(), 0
    for kind in KINDS:
        seeds = (seed for seed in range(first, first + count) if schedule(seed).kind == kind)
        while batch := [schedule(seed) for seed in islice(seeds, AT_ONCE)]:
            for outcome in play_all(batch, AT_ONCE):
                total.add(outcome.verdict)
                played += 1
                if not outcome.verdict.is_kept:
                    print(outcome)
            print(f"{played} of {count}: {_counted(total)}", flush=True)
    print(
        f"schedules {played} lost {total.lost} repeated {total.repeated} "
        f"misordered {total.misordered} untrue {total.untrue}"
    )
    return 0 if total.is_kept else 1


def _counted(total: Verdict) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(total.counts.items()))


if __name__ == "__main__":
    sys.exit(main())
