"""`python -m tests.simulation --seeds N [--first S]` explores; `--seed S` shows what happens in one run."""

import argparse
import sys
import time

from tests.simulation.world import explore, replay


def main() -> int:
    """Run what the command line asks for; the status is 1 when something must not have happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Simulate the server.")
    parser.add_argument("--seeds", type=int, default=20_000, help="how many runs")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="replay one run and print its events")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        print("\n".join(replay(arguments.seed)))
        return 0
    begun = time.monotonic()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    try:
        sometimes = explore(seeds)
    except AssertionError as error:
        print(error)
        return 1
    print(f"{len(seeds)} runs in {time.monotonic() - begun:.1f} s, nothing that must not happen")
    for name, count in sorted(sometimes.items()):
        print(f"{count:10} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
