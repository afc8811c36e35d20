"""Many clients ask, leave and reset: what the server has counted is what they and the request log have seen."""

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from tests.support.countedcrowd import check_counts


def main() -> None:
    """Run it, and say how many requests there were."""
    parser = argparse.ArgumentParser(prog="python -m tests.counts", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--switch-interval", type=float, default=sys.getswitchinterval())
    given = parser.parse_args()
    logging.disable()  # what fails does so on purpose
    sys.setswitchinterval(given.switch_interval)
    with tempfile.TemporaryDirectory() as folder:
        rounds = -(-given.requests // given.clients)
        count = check_counts(Path(folder), clients=given.clients, rounds=rounds, threads=given.threads)
    print(f"{count} requests of {given.clients} clients, all counted")


if __name__ == "__main__":
    main()
