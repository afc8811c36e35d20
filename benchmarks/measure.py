"""The rounds: every server of a scenario runs, and one after the other gets its share of each round."""

import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.environment import can_run, find_program
from benchmarks.load import idle_connections, run_load
from benchmarks.processes import Group, running
from benchmarks.scenarios import Scenario
from benchmarks.servers import Place, Server, make_certificate, takes_part

FILE_BYTES: Final = 32 * 1024 * 1024
WARM_UP_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Plan:
    """How much is measured, and where the servers run."""

    bin: Path
    rounds: int
    seconds: float
    server_cores: str = ""  # as taskset writes them; empty: all
    load_cores: str = ""


@dataclass(frozen=True)
class Sample:
    """One server in one round."""

    rate: float
    cpu_microseconds: float
    p50_microseconds: float
    p99_microseconds: float
    memory_bytes: float
    errors: float


@dataclass(frozen=True)
class Result:
    """One server in one scenario: the median of its rounds, and the rounds."""

    scenario: str
    server: str
    median: Sample
    rounds: tuple[Sample, ...]


def summarize(scenario: str, server: str, samples: Sequence[Sample]) -> Result:
    """Take the median of each column; errors are added up, since the median would hide one."""
    columns = {name: median(getattr(sample, name) for sample in samples) for name in (f.name for f in fields(Sample))}
    columns["errors"] = sum(sample.errors for sample in samples)
    return Result(scenario, server, Sample(**columns), tuple(samples))


def measure(plan: Plan, scenario: Scenario, servers: Sequence[Server]) -> list[Result]:
    """Measure each server that can take part, in interleaved rounds that begin with another server each time."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name, ExitStack() as stack:
        started = list(_start_all(plan, scenario, servers, stack, Path(name)))
        samples: dict[str, list[Sample]] = {server.name: [] for server, _, _ in started}
        for number in range(plan.rounds):
            turn = number % max(1, len(started))
            for server, port, group in started[turn:] + started[:turn]:
                sample = _sample(plan, scenario, port, group)
                print(f"  {scenario.name} {server.name}: {sample.rate:,.0f}/s", file=sys.stderr)
                samples[server.name].append(sample)
    return [summarize(scenario.name, server, found) for server, found in samples.items() if found]


def _start_all(
    plan: Plan, scenario: Scenario, servers: Sequence[Server], stack: ExitStack, folder: Path
) -> Iterator[tuple[Server, int, Group]]:
    """Start every server of the scenario; one that cannot run here is named and left out."""
    file = folder / "download.bin"
    if scenario.app.endswith(":download"):
        file.write_bytes(os.urandom(FILE_BYTES))
    for server in servers:
        if not takes_part(server, scenario):
            continue
        if not can_run(server, scenario, plan.bin):
            print(f"  {scenario.name} {server.name}: not installed", file=sys.stderr)
            continue
        place = Place(plan.bin, _free_port(), folder / server.name, file)
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
            group = stack.enter_context(running(command, place.port, log, variables, is_secure=is_secure))
        except RuntimeError as exc:
            print(f"  {scenario.name} {server.name}: {exc}", file=sys.stderr)
            continue
        yield server, place.port, group


def _sample(plan: Plan, scenario: Scenario, port: int, group: Group) -> Sample:
    with _company(scenario, port):
        run_load(scenario, port, WARM_UP_SECONDS, plan.load_cores)
        before = group.cpu_seconds()
        load = run_load(scenario, port, plan.seconds, plan.load_cores)
        cpu = group.cpu_seconds() - before
        memory = group.memory_bytes()
    per_request = cpu * 1e6 / load.requests if load.requests else 0.0
    return Sample(load.rate, per_request, load.p50, load.p99, memory, load.errors)


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
