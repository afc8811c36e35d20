"""`python -m benchmarks.interpreters`: waitressd by several interpreters, in interleaved rounds."""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import report
from benchmarks.environment import ROOT
from benchmarks.measure import Plan, Result, measure
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.servers import SERVERS, Place, Server

DEFAULT_SCENARIOS: Final = ("hello-64", "unique", "django")
PAGE: Final = ROOT / "docs" / "benchmarks-interpreters.inc"
OURS: Final = next(server for server in SERVERS if server.name == report.OURS)
DESCRIBE: Final = """
import platform, sys
from importlib import metadata
version = ".".join(map(str, sys.pypy_version_info[:3])) + ", Python " if hasattr(sys, "pypy_version_info") else ""
jit = ", JIT" if hasattr(sys, "_jit") and sys._jit.is_enabled() else ""
compiler = " ".join(platform.python_compiler().split()[:2])
python = f"{platform.python_implementation()} {version}{platform.python_version()}{jit}"
found = {item.name: item.version for item in metadata.distributions()}
packages = [f"{name} {found[name]}" for name in found if name.lower() in sys.argv[1:]]
print(", ".join(filter(None, [python, compiler, *packages])))
"""


@dataclass(frozen=True)
class Interpreter:
    """What a row of the table is called, and the words that start the interpreter."""

    name: str
    words: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Interpreter":
        """Read NAME=COMMAND; the command is split as a shell does. Raises ValueError if a part is missing."""
        name, _, command = text.partition("=")
        words = tuple(shlex.split(command))
        if not name.strip() or not words:
            raise ValueError(text)
        return cls(name.strip(), words)

    @property
    def server(self) -> Server:
        """Waitressd as it is started elsewhere, but by this interpreter."""
        return Server(self.name, self._command, OURS.module, interpreter=self.words)

    def _command(self, place: Place, scenario: Scenario) -> list[str]:
        return [*self.words, *OURS.command(place, scenario)[1:]]

    def describe(self, packages: Sequence[str] = ()) -> str:
        """Return implementation, version, compiler, and versions of packages. Raises CalledProcessError, OSError."""
        command = [*self.words, "-c", DESCRIBE, *packages]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        return run.stdout.strip()


def parser() -> argparse.ArgumentParser:
    """Describe the options."""
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.interpreters",
        description="Measure waitressd by several interpreters. Each must find waitressd and the applications.",
    )
    options.add_argument(
        "--python", action="append", required=True, type=Interpreter.parse, metavar="NAME=COMMAND",
        help="an interpreter: its name in the table, and the words that start it (once for each of them)",
    )  # fmt: skip
    names = [each.name for each in SCENARIOS]
    options.add_argument("--scenario", action="append", choices=names, help="only this one (may be repeated)")
    options.add_argument("--rounds", type=int, default=3, help="rounds of each scenario (3)")
    options.add_argument("--seconds", type=float, default=2.0, help="how long each is loaded in each round (2)")
    options.add_argument("--settle", type=int, default=10, help="at most so many seconds to warm up before (10)")
    options.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results", help="folder for interpreters.json"
    )
    options.add_argument("--docs", action="store_true", help="also write the table of the manual")
    options.add_argument("--server-cores", default="", metavar="LIST", help="bind the servers to these cores")
    options.add_argument("--load-cores", default="", metavar="LIST", help="bind wrk to these cores")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args(arguments)
    wanted = options.scenario or DEFAULT_SCENARIOS
    scenarios = [each for each in SCENARIOS if each.name in wanted]
    packages = [package.partition("<")[0] for scenario in scenarios for package in scenario.packages]
    versions = {each.name: each.describe(packages) for each in options.python}
    plan = Plan(
        Path(sys.executable).parent, options.rounds, options.seconds, options.server_cores, options.load_cores,
        warm_up_seconds=0, settle_seconds=options.settle,
    )  # fmt: skip
    servers = [each.server for each in options.python]
    before = report.load()
    results: list[Result] = []
    for scenario in scenarios:
        results += measure(plan, scenario, servers)
    facts = {
        "machine": report.machine(),
        "load": f"{before} when the run began, {report.load()} when it ended",
        "versions": versions,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "settle": options.settle,
        "server_cores": options.server_cores,
        "load_cores": options.load_cores,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "interpreters.json").write_text(report.as_json(results, facts), encoding="utf-8")
    print(report.text_cells(rows(results, versions)))
    if options.docs:
        PAGE.write_text(manual_table(results, facts), encoding="utf-8")
    return 0


def rows(results: Sequence[Result], versions: dict[str, str]) -> list[list[str]]:
    """Return the cells of the table, headings first: a line for each interpreter, two columns for each scenario."""
    scenarios = list(dict.fromkeys(result.scenario for result in results))
    found = {(result.server, result.scenario): result for result in results}
    head = ["interpreter", "version"]
    for scenario in scenarios:
        title = report.TITLES[scenario]
        head += [f"{title[0].upper()}{title[1:]}: CPU µs/request", "requests/s"]
    table = [head]
    for name, version in versions.items():
        line = [name, version]
        for scenario in scenarios:
            line += _cells(found.get((name, scenario)))
        table.append(line)
    return table


def _cells(result: Result | None) -> list[str]:
    if result is None:
        return ["", ""]
    sample = result.median
    errors = f" ({sample.errors:.0f} errors)" if sample.errors else ""
    return [f"{sample.cpu_microseconds:,.1f}", f"{sample.rate:,.0f}{errors}"]


def manual_table(results: Sequence[Result], facts: dict[str, Any]) -> str:
    """Render what the manual shows of a run."""
    cores = f" The servers ran on core {facts['server_cores']}" if facts["server_cores"] else ""
    cores += f", wrk on core {facts['load_cores']}." if facts["load_cores"] else "." if cores else ""
    lines = [
        ".. Written by ``python -m benchmarks.interpreters --docs``.", "",
        f"Measured on {facts['machine']}: the median of {facts['rounds']} interleaved rounds",
        f"of {facts['seconds']:g} seconds, after a warm-up of up to {facts['settle']} seconds.{cores}",
        f"How busy the machine was: {facts['load']}.", "",
        ".. list-table::", "   :header-rows: 1", "",
        *report.rst_cells(rows(results, facts["versions"])),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
