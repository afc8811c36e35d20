"""`python -m benchmarks`: set up, measure, print, write."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import chart, report
from benchmarks.environment import ROOT, prepare, versions
from benchmarks.measure import Plan, Result, measure
from benchmarks.scenarios import SCENARIOS
from benchmarks.servers import SERVERS

RESULTS: Final = Path(__file__).parent / "results"
QUICK_SECONDS: Final = 2.0


def parser() -> argparse.ArgumentParser:
    """Describe the options."""
    options = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Compare WSGI servers on this machine. Sets up an environment of its own under benchmarks/.env.",
    )
    scenarios, servers = [each.name for each in SCENARIOS], [each.name for each in SERVERS]
    options.add_argument("--scenario", action="append", choices=scenarios, help="only this one (may be repeated)")
    options.add_argument("--server", action="append", choices=servers, help="only this one (may be repeated)")
    options.add_argument("--rounds", type=int, default=5, help="rounds of each scenario (5)")
    options.add_argument("--seconds", type=float, default=5.0, help="how long each server is loaded in each round (5)")
    options.add_argument("--quick", action="store_true", help=f"one round of {QUICK_SECONDS:g} seconds")
    options.add_argument("--out", type=Path, default=RESULTS, help="folder for results.json, results.rst, results.svg")
    options.add_argument("--docs", action="store_true", help="also write what of it the manual shows")
    options.add_argument("--environment", type=Path, help="use (and complete) this virtual environment")
    options.add_argument("--server-cores", default="", metavar="LIST", help="bind the servers to these cores")
    options.add_argument("--load-cores", default="", metavar="LIST", help="bind wrk to these cores")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args(arguments)
    scenarios = [each for each in SCENARIOS if not options.scenario or each.name in options.scenario]
    servers = [each for each in SERVERS if not options.server or each.name in options.server]
    rounds, seconds = (1, QUICK_SECONDS) if options.quick else (options.rounds, options.seconds)
    bin_folder = prepare(options.environment, servers, scenarios)
    plan = Plan(bin_folder, rounds, seconds, options.server_cores, options.load_cores)
    results: list[Result] = []
    before = report.load()  # what others do on the machine: our own load comes later
    for scenario in scenarios:
        found = measure(plan, scenario, servers)
        if found:
            print(report.text_table(found), flush=True)
            results += found
    if not results:
        print("nothing was measured", file=sys.stderr)
        return 1
    facts = {
        "machine": report.machine(),
        "load": f"{before} when the run began, {report.load()} when it ended",
        "versions": versions(bin_folder),
        "rounds": rounds,
        "seconds": seconds,
        "server_cores": options.server_cores,
        "load_cores": options.load_cores,
    }
    write(results, facts, options.out)
    if options.docs:
        write_manual(results, facts)
    return 0


def write(results: Sequence[Result], facts: dict[str, object], folder: Path) -> None:
    """Write the three files of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(report.as_json(results, facts), encoding="utf-8")
    (folder / "results.rst").write_text(report.rst_tables(results, facts), encoding="utf-8")
    (folder / "results.svg").write_text(chart.draw(results), encoding="utf-8")
    print(f"written to {folder}", file=sys.stderr)


def write_manual(results: Sequence[Result], facts: dict[str, object]) -> None:
    """Write what the manual shows of the scenarios that were measured: a page and a picture, and a table of workers."""
    docs = ROOT / "docs"
    fleets = [result for result in results if report.has_workers(result)]
    others = [result for result in results if not report.has_workers(result)]
    if others:
        (docs / "benchmarks-results.rst").write_text(report.manual_page(others, facts), encoding="utf-8")
        (docs / "benchmarks.svg").write_text(chart.draw(others), encoding="utf-8")
    if fleets:
        (docs / "benchmarks-workers.inc").write_text(report.manual_workers(fleets, facts), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
