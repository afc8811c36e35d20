"""`python -m tests.timelimits [--races 10000] [--injections 100000] [--threads 16]`."""

import argparse
import logging
import sys
import time

from tests.support.injections import inject
from tests.support.races import WHOLE, Races
from waitressd.net import interrupt


def main() -> int:
    """Run what the command line asks for; the status is 1 when something must not have happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.timelimits", description="Race against time limits.")
    parser.add_argument("--races", type=int, default=10_000, help="requests that end when their time is over")
    parser.add_argument("--injections", type=int, default=100_000, help="tasks that are interrupted")
    parser.add_argument("--threads", type=int, default=16, help="of the server that they race on")
    arguments = parser.parse_args()
    logging.getLogger("waitressd").setLevel(logging.CRITICAL)
    can_interrupt = not interrupt.TROUBLE
    is_good = True
    for is_interrupted in (False, True)[: 1 + can_interrupt]:
        begun = time.monotonic()
        seen = Races(arguments.threads, interrupt=is_interrupted).run(arguments.races // (1 + can_interrupt))
        is_good = is_good and seen.keys() <= {WHOLE + "200", WHOLE + "504"}
        how = "with interruptions" if is_interrupted else "without interruptions"
        figures = ", ".join(f"{count} {what}" for what, count in sorted(seen.items()))
        print(f"races {how}: {figures} ({time.monotonic() - begun:.0f} s)", flush=True)
    if can_interrupt:
        for switch_seconds in (1e-6, 1e-5, 1e-4, 1e-3):
            begun = time.monotonic()
            found = inject(arguments.injections // 4, seed=7, switch_seconds=switch_seconds)
            is_good = is_good and not found.leaked
            figures = f"{found.sent} interruptions of {found.tasks} tasks, {found.caught} seen by the application"
            figures += f", {found.leaked} leaked ({time.monotonic() - begun:.0f} s)"
            print(f"switch interval {switch_seconds:g} s: {figures}", flush=True)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
