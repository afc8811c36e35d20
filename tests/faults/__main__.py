"""`python -m tests.faults [--only NAME ...] [--list] [--json FILE]`: every figure, measured against a real process."""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from tests.faults.report import Figure, carry_out, line, load


def main() -> int:
    """Run the scenarios that were asked for; exit status 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="run this scenario (again and again for more)")
    parser.add_argument("--list", action="store_true", help="say which scenarios there are")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    scenarios = load()
    if arguments.list:
        print("\n".join(f"{each.name:<20} {(each.run.__doc__ or '').strip()}" for each in scenarios.values()))
        return 0
    unknown = sorted(set(arguments.only or ()) - scenarios.keys())
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)} (see --list)")
    figures: list[Figure] = []
    for name in arguments.only or scenarios:
        figures.extend(carry_out(scenarios[name]))
    print(f"\n{'':<4} | {'figure':<60} | {'goal':<18} | measured (load of the machine now {os.getloadavg()[0]:.1f})")
    print("\n".join(map(line, figures)))
    missed = [figure for figure in figures if not figure.ok]
    print(f"\n{len(figures) - len(missed)} of {len(figures)} figures are met")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps([asdict(figure) for figure in figures], indent=1), encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
