"""The rounds: every server of a scenario runs, and one after the other gets its share of each round."""

import math
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.environment import can_run, find_program
from benchmarks.load import idle_connections, run_load
from benchmarks.processes import Tree, running
from benchmarks.scenarios import Scenario
from benchmarks.servers import Place, Server, make_certificate, takes_part

FILE_BYTES: Final = 32 * 1024 * 1024
STILL_FALLING: Final = 0.97  # a second in which a request costs less than this part of the cheapest one before


@dataclass(frozen=True)
class Plan:
    """How much is measured, and where the servers run."""

    bin: Path
    rounds: int
    seconds: float
    server_cores: str = ""  # as taskset writes them; empty: all
    load_cores: str = ""
    warm_up_seconds: float = 1.0  # before each round
    settle_seconds: int = 0  # at most, before the first round


@dataclass(frozen=True)
class Sample:
    """One server in one round."""

    rate: float
    cpu_microseconds: float
    p50_microseconds: float
    p99_microseconds: float
    memory_bytes: float
    errors: float
    load_microseconds: float = 0.0  # of CPU time that wrk took for each answer
    limit_rate: float = 0.0  # answers in a second that the machine allows at this cost


@dataclass(frozen=True)
class Result:
    """One server in one scenario, with so many workers: the median of its rounds, and the rounds."""

    scenario: str
    server: str
    median: Sample
    rounds: tuple[Sample, ...]
    workers: int = 1

    @property
    def label(self) -> str:
        """The server, and how many workers if they are more than one."""
        return self.server if self.workers == 1 else f"{self.server} \N{MULTIPLICATION SIGN}{self.workers}"


@dataclass(frozen=True)
class Running:
    """A server that runs: where, with how many workers, and its processes."""

    server: str
    workers: int
    port: int
    tree: Tree


def summarize(scenario: str, server: str, samples: Sequence[Sample], workers: int = 1) -> Result:
    """Take the median of each column; errors are added up, since the median would hide one."""
    columns = {name: median(getattr(sample, name) for sample in samples) for name in (f.name for f in fields(Sample))}
    columns["errors"] = sum(sample.errors for sample in samples)
    return Result(scenario, server, Sample(**columns), tuple(samples), workers)


def measure(plan: Plan, scenario: Scenario, servers: Sequence[Server]) -> list[Result]:
    """Measure each server that can take part, in interleaved rounds that begin with another server each time."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name, ExitStack() as stack:
        started = list(_start_all(plan, scenario, servers, stack, Path(name)))
        for each in started:
            _settle(plan, scenario, each)
        samples: dict[Running, list[Sample]] = {each: [] for each in started}
        for number in range(plan.rounds):
            turn = number % max(1, len(started))
            for each in started[turn:] + started[:turn]:
                sample = _sample(plan, scenario, each)
                workers = f", workers {each.workers}" if len(scenario.workers) > 1 else ""
                print(f"  {scenario.name} {each.server}{workers}: {sample.rate:,.0f}/s", file=sys.stderr)
                samples[each].append(sample)
    return [summarize(scenario.name, each.server, found, each.workers) for each, found in samples.items() if found]


def _start_all(
    plan: Plan, scenario: Scenario, servers: Sequence[Server], stack: ExitStack, folder: Path
) -> Iterator[Running]:
    """Start every server of the scenario, with each number of workers; name and leave out what cannot run here."""
    file = folder / "download.bin"
    if scenario.app.endswith(":download"):
        file.write_bytes(os.urandom(FILE_BYTES))
    for server in servers:
        if not takes_part(server, scenario):
            continue
        if not can_run(server, scenario, plan.bin):
            print(f"  {scenario.name} {server.name}: not installed", file=sys.stderr)
            continue
        for workers in scenario.workers:
            place = Place(plan.bin, _free_port(), folder / f"{server.name}-{workers}", file, workers)
            place.folder.mkdir()
            if scenario.is_secure:
                make_certificate(place)
            command = server.command(place, scenario)
            if server.program:
                command[0] = find_program(server.program) or server.program
            if plan.server_cores:
                command = ["taskset", "-c", plan.server_cores, *command]
            variables = {"BENCHMARK_FILE": str(file)}
            try:
                log, is_secure = place.folder / "output.txt", scenario.is_secure
                tree = stack.enter_context(running(command, place.port, log, variables, is_secure=is_secure))
            except RuntimeError as exc:
                print(f"  {scenario.name} {server.name}: {exc}", file=sys.stderr)
                continue
            yield Running(server.name, workers, place.port, tree)


def _settle(plan: Plan, scenario: Scenario, each: Running) -> None:
    """Load a server until two seconds have made it no faster: a compiler that works meanwhile takes its time."""
    second = replace(plan, seconds=1.0, warm_up_seconds=0.0)
    cheapest, unchanged = math.inf, 0
    for _ in range(plan.settle_seconds):
        cost = _sample(second, scenario, each).cpu_microseconds
        unchanged = 0 if cost < cheapest * STILL_FALLING else unchanged + 1
        cheapest = min(cheapest, cost)
        if unchanged == 2:
            return


def _sample(plan: Plan, scenario: Scenario, each: Running) -> Sample:
    with _company(scenario, each.port):
        if plan.warm_up_seconds:
            run_load(scenario, each.port, plan.warm_up_seconds, plan.load_cores)
        before = each.tree.cpu_seconds()
        load = run_load(scenario, each.port, plan.seconds, plan.load_cores)
        cpu = each.tree.cpu_seconds() - before
        memory = each.tree.memory_bytes()
    ours, theirs = (seconds * 1e6 / max(1, load.requests) for seconds in (cpu, load.cpu_seconds))
    limit = limit_rate(
        ours, theirs, cores=len(os.sched_getaffinity(each.tree.root)), load_threads=scenario.load_threads,
        is_shared=not plan.load_cores,
    )  # fmt: skip
    return Sample(load.rate, ours, load.p50, load.p99, memory, load.errors, theirs, limit)


def limit_rate(ours: float, theirs: float, *, cores: int, load_threads: int, is_shared: bool) -> float:
    """Return how many answers a second the machine allows at most, when each costs the server and wrk so many us.

    `cores` are the server's; `is_shared`: wrk runs on them, too.
    """
    return 1e6 * min(cores / max(1e-9, ours + theirs * is_shared), load_threads / max(1e-9, theirs))


@contextmanager
def _company(scenario: Scenario, port: int) -> Iterator[None]:
    """Open the idle connections of the scenario, if it has any."""
    with ExitStack() as stack:
        if scenario.idle_connections:
            stack.enter_context(idle_connections(port, scenario.idle_connections))
        yield


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
