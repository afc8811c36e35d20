"""`python -m tests.stress --seconds 300 --seed N [--switch-interval 1e-6] [--pin]`."""

import argparse
import os
import sys

from tests.stress.load import run


def main() -> int:
    """Run what the command line asks for; an exception says what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description="Load a server with real threads.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--switch-interval", type=float, help="seconds between two thread switches, as for sys")
    parser.add_argument("--pin", action="store_true", help="one processor for all threads")
    arguments = parser.parse_args()
    if arguments.switch_interval:
        sys.setswitchinterval(arguments.switch_interval)
    if arguments.pin:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for name, count in run(arguments.seconds, arguments.seed, arguments.clients).most_common():
        print(f"{count:8} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
