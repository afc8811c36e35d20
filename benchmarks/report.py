"""What was measured, as a table for a terminal, a table for the manual, and JSON."""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import Result
from benchmarks.scenarios import SCENARIOS
from benchmarks.servers import SERVERS

OURS: Final = "waitressd"
HEADINGS: Final = (
    "server",
    "requests/s",
    "CPU µs/request",
    "p50 ms",
    "p99 ms",
    "memory MiB",
    "ours ÷ theirs",
    "CPU: ours ÷ theirs",
    "errors",
)
TITLES: Final = {scenario.name: scenario.title for scenario in SCENARIOS}
GOALS: Final = {scenario.name: scenario.goals for scenario in SCENARIOS}
CPU_GOALS: Final = {scenario.name: scenario.cpu_goals for scenario in SCENARIOS}
STATIC: Final = frozenset(server.name for server in SERVERS if server.is_static)
SCALING_GOALS: Final = {scenario.name: scenario.scaling_goal for scenario in SCENARIOS if len(scenario.workers) > 1}
WORDS: Final = frozenset({"server", "interpreter", "version"})  # headings of columns that hold no figures
SCALING_HEADINGS: Final = (
    "server",
    "workers",
    "requests/s",
    "\N{DIVISION SIGN} 1 worker",
    "CPU µs/request",
    "wrk µs/request",
    "p99 ms",
    "memory MiB",
    "ours ÷ theirs",
    "CPU: ours ÷ theirs",
    "errors",
)


def ratio(ours: Result | None, theirs: Result) -> float | None:
    """Return our requests per second divided by theirs."""
    if ours is None or ours.server == theirs.server or not theirs.median.rate:
        return None
    return ours.median.rate / theirs.median.rate


def cpu_ratio(ours: Result | None, theirs: Result) -> float | None:
    """Return our CPU time for each request divided by theirs."""
    if ours is None or ours.server == theirs.server or not theirs.median.cpu_microseconds:
        return None
    return ours.median.cpu_microseconds / theirs.median.cpu_microseconds


def _verdict(times: float | None, goal: float | None, *, is_reached: bool) -> str:
    """Say how far we are from what we want."""
    if times is None:
        return ""
    return f"{times:.2f}" + ("" if goal is None else f" ({'reaches' if is_reached else 'misses'} {goal:g})")


def rows(results: Sequence[Result]) -> list[list[str]]:
    """Return the cells of one scenario's table, the fastest server first."""
    ours = next((result for result in results if result.server == OURS), None)
    table = []
    for result in sorted(results, key=lambda each: -each.median.rate):
        sample = result.median
        table.append([
            result.server,
            f"{sample.rate:,.0f}",
            f"{sample.cpu_microseconds:,.1f}",
            f"{sample.p50_microseconds / 1000:,.2f}",
            f"{sample.p99_microseconds / 1000:,.2f}",
            f"{sample.memory_bytes / 2**20:,.1f}",
            *_verdicts(ours, result),
            f"{sample.errors:.0f}" if sample.errors else "",
        ])  # fmt: skip
    return table


def scaling_rows(results: Sequence[Result]) -> list[list[str]]:
    """Return the cells of a scenario with several numbers of workers: ours first, then by the best rate."""
    best = {each.server: max(other.median.rate for other in results if other.server == each.server) for each in results}
    ours = {each.workers: each for each in results if each.server == OURS}
    most = max(each.workers for each in results)
    table = []
    for result in sorted(results, key=lambda each: (each.server != OURS, -best[each.server], each.workers)):
        sample = result.median
        fewest = min((each for each in results if each.server == result.server), key=lambda each: each.workers)
        table.append([
            result.server,
            str(result.workers),
            f"{sample.rate:,.0f}",
            _scaling(fewest, result),
            f"{sample.cpu_microseconds:,.1f}",
            f"{sample.load_microseconds:,.1f}",
            f"{sample.p99_microseconds / 1000:,.2f}",
            f"{sample.memory_bytes / 2**20:,.1f}",
            *_verdicts(ours.get(result.workers), result, has_goals=result.workers == most),
            f"{sample.errors:.0f}" if sample.errors else "",
        ])  # fmt: skip
    return table


def _verdicts(ours: Result | None, result: Result, *, has_goals: bool = True) -> tuple[str, str]:
    """Say how our rate and our CPU time compare, and how far that is from what we want."""
    times, part = ratio(ours, result), cpu_ratio(ours, result)
    goal = GOALS[result.scenario].get(result.server) if has_goals else None
    limit = CPU_GOALS[result.scenario].get(result.server) if has_goals else None
    return (
        _verdict(times, goal, is_reached=(times or 0.0) >= (goal or 0.0)),
        _verdict(part, limit, is_reached=(part or 0.0) <= (limit or 0.0)),
    )


def _scaling(fewest: Result, result: Result) -> str:
    """Say how much more workers achieve, and what the machine allows if that is less than our goal."""
    if fewest is result or not fewest.median.rate:
        return ""
    times, limit = result.median.rate / fewest.median.rate, result.median.limit_rate / fewest.median.rate
    goal, text = SCALING_GOALS[result.scenario], f"{times:.2f}"
    if result.server != OURS or not goal:
        return text
    if times >= goal:
        return f"{text} (reaches {goal:g})"
    return f"{text} (misses {goal:g}" + (f"; the machine allows {limit:.2f})" if limit < goal else ")")


def table_of(results: Sequence[Result]) -> list[list[str]]:
    """Return the cells of one scenario's table, headings first."""
    if results[0].scenario in SCALING_GOALS:
        return [list(SCALING_HEADINGS), *scaling_rows(results)]
    return [list(HEADINGS), *rows(results)]


def text_table(results: Sequence[Result]) -> str:
    """Render one scenario for a terminal."""
    return f"{TITLES[results[0].scenario]}\n{text_cells(table_of(results))}"


def text_cells(cells: Sequence[Sequence[str]]) -> str:
    """Render a table, headings first, for a terminal."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    words = {column for column, heading in enumerate(cells[0]) if heading in WORDS or "÷" in heading}
    lines = [
        "  ".join(
            cell.ljust(width) if column in words else cell.rjust(width) for column, (cell, width) in enumerate(pairs)
        )
        for pairs in (list(zip(row, widths, strict=True)) for row in cells)
    ]
    return "\n".join([*(line.rstrip() for line in lines), ""])


def rst_tables(results: Sequence[Result], facts: dict[str, Any], underline: str = "-") -> str:
    """Render everything for the manual."""
    measured = {result.server for result in results}
    packages = [server.package for server in SERVERS if server.name in measured and server.package in facts["versions"]]
    peers = ", ".join(f"{name} {facts['versions'][name]}" for name in packages)
    lines = [
        f"Measured on {facts['machine']} with CPython {facts['versions']['python']}: the median of",
        f"{facts['rounds']} interleaved rounds of {facts['seconds']:g} seconds" + (f"; {peers}." if peers else "."),
        f"How busy the machine was: {facts['load']}.", "",
    ]  # fmt: skip
    for group in grouped(results):
        title = TITLES[group[0].scenario]
        lines += [title[0].upper() + title[1:], underline * len(title), "", ".. list-table::", "   :header-rows: 1", ""]
        lines += [*rst_cells(table_of(group)), ""]
    return "\n".join(lines)


def rst_cells(cells: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a list-table with these cells."""
    return [f"   {'*' if index == 0 else ' '} - {cell}".rstrip() for row in cells for index, cell in enumerate(row)]


def better(results: Sequence[Result]) -> list[str]:
    """Return a line for each scenario in which another server has more requests per second or takes less CPU time."""
    lines = []
    for group in grouped(results):
        ours = {result.workers: result for result in group if result.server == OURS}
        said = []
        for result in group:
            times, part = ratio(ours.get(result.workers), result), cpu_ratio(ours.get(result.workers), result)
            if result.server in STATIC or times is None or part is None:
                continue
            figures = [f"{1 / times:.2f} of our requests/s"] if times < 1 else []
            figures += [f"{1 / part:.2f} of our CPU time"] if part > 1 else []
            if figures:
                said.append(f"{result.label} {' and '.join(figures)}")
        if said:
            lines.append(f"- {TITLES[group[0].scenario]}: {'; '.join(said)}")
    return lines


def manual_page(results: Sequence[Result], facts: dict[str, Any]) -> str:
    """Render the page of the manual that shows a run."""
    head = """Benchmark results
=================

.. This page is written by ``python -m benchmarks --docs``; how it was measured stands on the page before.

.. image:: benchmarks.svg
   :alt: requests per second of each server in each scenario

"""
    lines = better(results)
    where = ["Where others are better", "-----------------------", "", *lines, "", ""] if lines else []
    return head + "\n".join(where) + rst_tables(results, facts)


def manual_workers(results: Sequence[Result], facts: dict[str, Any]) -> str:
    """Render the part of the manual that shows a run with several numbers of workers."""
    lines = better(results)
    where = ["Where others are better, with as many workers:", "", *lines, "", ""] if lines else []
    return "\n".join([".. Written by ``python -m benchmarks --docs``.", "", *where]) + rst_tables(results, facts, '"')


def has_workers(result: Result) -> bool:
    """Whether the scenario compares numbers of workers."""
    return result.scenario in SCALING_GOALS


def grouped(results: Iterable[Result]) -> list[list[Result]]:
    """Put the results of each scenario together, in the order of the scenarios."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.scenario, []).append(result)
    return list(groups.values())


def machine() -> str:
    """Describe the machine in a few words."""
    cores = sum(line.startswith("processor") for line in Path("/proc/cpuinfo").read_text().splitlines())
    return f"{platform.system()} {platform.release().split('-')[0]}, {platform.machine()}, {cores} cores"


def load() -> str:
    """Describe how busy the machine is."""
    return f"load average {os.getloadavg()[0]:.1f}"


def as_json(results: Sequence[Result], facts: dict[str, Any]) -> str:
    """Render everything for other programs."""
    return (
        json.dumps({"facts": facts, "results": [asdict(result) for result in results]}, indent=1, ensure_ascii=False)
        + "\n"
    )
