"""`python -m tests.fleet --minutes 10 [--seed S] [--way pserve] [--framework pyramid] [--preload off]`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fleet.stress import Plan, run
from tests.support.site import FRAMEWORKS


def main() -> int:
    """Run what the command line asks for. The exit status is 1 if anything was lost that no death explains."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet", description="Reload, break and kill under load.")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--way", choices=("config", "pserve"), default="config")
    parser.add_argument("--framework", choices=sorted(FRAMEWORKS), default="plain")
    parser.add_argument("--preload", choices=("on", "off", "auto"), default="on")
    options = parser.parse_args()
    plan = Plan(options.minutes * 60, options.seed, options.way, options.framework, options.preload)
    print(plan, flush=True)
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        report = run(plan, Path(folder))
    for name, count in report.steps.most_common():
        print(f"{count:8} {name}")
    print(*report.lines, sep="\n")
    for line in report.trouble:
        print(f"TROUBLE {line}")
    return 1 if report.trouble else 0


if __name__ == "__main__":
    sys.exit(main())
