"""`python -m tests.model --seeds N [--first S]` explores; `--seed S` shows the steps of one run.

It is the role protocol that is explored, or with `--fleet` the plan of a fleet.
"""

import argparse
import sys
import time

from tests.model.fleetmodel import explore_fleet, replay_fleet
from tests.model.rolemodel import explore, replay


def main() -> int:
    """Run what the command line asks for; the status is 1 when an invariant is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description="Explore two protocols.")
    parser.add_argument("--fleet", action="store_true", help="the plan of a fleet")
    parser.add_argument("--seeds", type=int, default=1_000_000, help="how many interleavings")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="replay one interleaving and print its steps")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        print("\n".join(replay_fleet(arguments.seed) if arguments.fleet else replay(arguments.seed)))
        return 0
    begun = time.monotonic()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    try:
        sometimes = explore_fleet(seeds) if arguments.fleet else explore(seeds)
    except AssertionError as violation:
        print(violation)
        return 1
    print(f"{len(seeds)} interleavings in {time.monotonic() - begun:.1f} s, no violation")
    for name, count in sometimes.most_common():
        print(f"{count:10} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
