"""The driver of the benchmarks: figures are what they say, tables and pictures are right."""

import json
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import apps, chart, interpreters, report
from benchmarks.environment import can_run, find_program
from benchmarks.load import run_load
from benchmarks.measure import Result, Sample, limit_rate, summarize
from benchmarks.processes import Process, Tree, running
from benchmarks.scenarios import SCENARIOS
from benchmarks.servers import SERVERS, Place, make_certificate, takes_part
from tests.support.servers import free_port, running_server
from tests.support.waiting import wait_until

FAST = Sample(
    rate=1200.0, cpu_microseconds=10.0, p50_microseconds=500, p99_microseconds=900, memory_bytes=2**20, errors=0
)
SLOW = replace(FAST, rate=100.0)
FACTS = {
    "machine": "a machine",
    "versions": {"python": "3.13.0", "waitress": "3.0.2"},
    "rounds": 1,
    "seconds": 2.0,
    "load": "none",
}


def results() -> list[Result]:
    return [Result("hello-64", "waitress", SLOW, (SLOW,)), Result("hello-64", "waitressd", FAST, (FAST,))]


def test_a_summary_takes_medians_and_adds_errors_up() -> None:
    samples = [replace(FAST, rate=rate, errors=errors) for rate, errors in ((1.0, 0), (9.0, 2), (3.0, 1))]
    summary = summarize("hello-64", "waitressd", samples)
    assert summary.median.rate == 3.0
    assert summary.median.errors == 3
    assert summary.rounds == tuple(samples)


def test_a_table_says_how_far_we_are_from_the_goal() -> None:
    table = report.rows(results())
    assert [row[0] for row in table] == ["waitressd", "waitress"]
    assert table[1][6] == "12.00 (reaches 12)"
    worse = [replace(results()[0], median=replace(SLOW, rate=101.0)), results()[1]]
    assert report.rows(worse)[1][6] == "11.88 (misses 12)"
    assert "hello, 64 connections" in report.text_table(results())
    assert "   * - waitressd\n     - 1,200\n" in report.manual_page(results(), FACTS)


def test_a_table_compares_the_cpu_time_of_requests() -> None:
    ours = Result("stream", "waitressd", FAST, (FAST,))
    for theirs, verdict in ((10.0, "1.00 (reaches 1)"), (8.0, "1.25 (misses 1)"), (0.0, "")):
        peer = Result("stream", "granian", replace(SLOW, cpu_microseconds=theirs), ())
        assert report.rows([ours, peer])[1][7] == verdict
    assert report.rows([ours, replace(ours, server="gunicorn")])[1][7] == "1.00"


def test_the_manual_names_where_others_are_better() -> None:
    ours = Result("hello-64", "waitressd", FAST, (FAST,))
    cheaper = Result("hello-64", "bjoern", replace(SLOW, cpu_microseconds=5.0), ())
    faster = Result("hello-64", "granian", replace(FAST, rate=1500.0, cpu_microseconds=8.0), ())
    worse = Result("hello-64", "waitress", replace(SLOW, cpu_microseconds=90.0), ())
    static = replace(faster, server="nginx")
    said = (
        "- hello, 64 connections: bjoern 0.50 of our CPU time; granian 1.25 of our requests/s and 0.80 of our CPU time"
    )
    assert report.better([ours, cheaper, faster, worse, static]) == [said]
    assert said in report.manual_page([ours, cheaper, faster], FACTS)
    assert report.better([ours, worse]) == []
    assert "others" not in report.manual_page([ours, worse], FACTS)
    assert "How busy the machine was: none." in report.manual_page([ours, worse], FACTS)


def test_servers_are_compared_with_as_many_workers_of_ours() -> None:
    ours = Result("workers-django", "waitressd", replace(FAST, rate=100.0), (), 1)
    two = replace(ours, median=replace(FAST, rate=200.0), workers=2)
    peer = Result("workers-django", "bjoern", replace(FAST, rate=150.0, cpu_microseconds=FAST.cpu_microseconds), (), 1)
    both = replace(peer, median=replace(peer.median, rate=250.0), workers=2)
    (line,) = report.better([ours, two, peer, both])
    assert line.endswith("bjoern 1.50 of our requests/s; bjoern \N{MULTIPLICATION SIGN}2 1.25 of our requests/s")
    assert line[2:] in report.manual_workers([ours, two, peer, both], FACTS)
    table = report.scaling_rows([ours, two, peer, both])
    assert [row[-3] for row in table] == ["", "", "0.67", "0.80 (misses 1)"]  # a goal is for the most workers
    assert [row[3] for row in table] == ["", "2.00", "", "1.67"]


def test_everything_is_in_the_json() -> None:
    found = json.loads(report.as_json(results(), FACTS))
    assert [each["server"] for each in found["results"]] == ["waitress", "waitressd"]
    assert found["results"][1]["rounds"][0]["rate"] == 1200.0


def test_the_picture_is_well_formed_and_draws_to_scale() -> None:
    picture = ElementTree.fromstring(chart.draw(results()))
    bars = {node.get("class"): float(node.get("width", "")) for node in picture.iter() if node.tag.endswith("rect")}
    assert bars["o"] == pytest.approx(12 * bars["p"], rel=0.01)


def test_every_scenario_has_an_application_and_names_its_goals_by_server() -> None:
    names = {server.name for server in SERVERS}
    for scenario in SCENARIOS:
        assert set(scenario.goals) | set(scenario.cpu_goals) | set(scenario.only) <= names
        assert scenario.workers == tuple(sorted(set(scenario.workers)))
        assert not scenario.scaling_goal or len(scenario.workers) > 1
        module, _, name = scenario.app.partition(":")
        assert module != "benchmarks.apps" or callable(getattr(apps, name))


def test_every_server_gets_a_command_for_each_scenario(tmp_path: Path) -> None:
    place = Place(Path("/env/bin"), 8080, tmp_path, tmp_path / "file")
    for scenario in SCENARIOS:
        for server in SERVERS:
            if takes_part(server, scenario):
                command = server.command(place, scenario)
                if len(scenario.workers) > 1:
                    assert server.command(replace(place, workers=2), scenario) != command
                assert server.is_static or any(scenario.app.partition(":")[0] in part for part in command)


def test_a_table_of_interpreters_has_a_line_for_each_and_columns_for_each_scenario() -> None:
    hello = Result("hello-64", "CPython 3.13", FAST, (FAST,))
    found = [hello, replace(hello, server="PyPy"), replace(hello, scenario="django", median=replace(SLOW, errors=2.0))]
    versions = {"CPython 3.13": "CPython 3.13.0, GCC 12.2.0", "PyPy": "PyPy 8.0.1"}
    facts = {**FACTS, "versions": versions, "settle": 10}
    head, *lines = interpreters.rows(found, versions)
    assert [cell.partition(":")[0] for cell in head[2::2]] == ["Hello, 64 connections", "Django hello"]
    assert lines == [
        ["CPython 3.13", "CPython 3.13.0, GCC 12.2.0", "10.0", "1,200", "10.0", "100 (2 errors)"],
        ["PyPy", "PyPy 8.0.1", "10.0", "1,200", "", ""],
    ]
    page = interpreters.manual_table(found, {**facts, "server_cores": "0", "load_cores": "1"})
    assert "   * - PyPy\n     - PyPy 8.0.1\n     - 10.0\n     - 1,200\n     -\n     -\n" in page
    assert "The servers ran on core 0, wrk on core 1." in page
    assert "The servers" not in interpreters.manual_table(found, {**facts, "server_cores": "", "load_cores": ""})


def test_an_interpreter_is_a_name_and_the_words_that_start_it(tmp_path: Path) -> None:
    given = interpreters.Interpreter.parse(f"3.15, JIT = env 'PYTHON_JIT=1' {sys.executable}")
    assert given.name == "3.15, JIT"
    assert given.words == ("env", "PYTHON_JIT=1", sys.executable)
    assert platform.python_version() in given.describe()
    assert f", pytest {pytest.__version__}" in given.describe(["pytest"])
    scenario = SCENARIOS[0]
    command = given.server.command(Place(Path("/env/bin"), 8080, tmp_path, tmp_path / "file"), scenario)
    assert command[:5] == [*given.words, "-m", "waitressd"]
    assert command[-1] == scenario.app
    assert can_run(given.server, scenario, tmp_path)
    for wrong in ("3.15", "=python", "3.15="):
        with pytest.raises(ValueError, match=wrong):
            interpreters.Interpreter.parse(wrong)


CHILDREN = """
import os, subprocess, sys
burn = [sys.executable, "-c", "print('ready', flush=True)\\nwhile True: pass"]
subprocess.Popen(burn, start_new_session=True)  # one that has left the session
between = "import subprocess; subprocess.Popen(%r)" % burn
subprocess.Popen([sys.executable, "-c", between]).wait()  # its child has no parent any more
input()
"""


def ready_tree(process: "subprocess.Popen[bytes]") -> Tree:
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == [b"ready\n"] * 2
    return Tree(process.pid)


def test_a_tree_is_all_that_has_come_from_its_root_and_ends_as_a_whole() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILDREN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        tree = ready_tree(process)
        try:
            before = tree.cpu_seconds()
            while tree.cpu_seconds() < before + 0.1:
                pass
            assert wait_until(lambda: len(tree.members()) == 3)  # what is just being started is another for a moment
            members = tree.members()
            assert members[0].pid == process.pid
            assert tree.memory_bytes() > 2**20
        finally:
            tree.stop(process)
    left = [found for member in members if (found := Process.read(member.pid)) and found.key == member.key]
    assert [found for found in left if found.state != "Z"] == []  # a zombie is init's to reap


def test_a_fleet_is_measured_with_all_its_processes(tmp_path: Path) -> None:
    scenario = next(each for each in SCENARIOS if each.name == "workers-hello")
    server = next(each for each in SERVERS if each.name == "waitressd")
    place = Place(Path(sys.executable).parent, free_port(), tmp_path, tmp_path / "file", workers=2)
    command = server.command(place, scenario)
    with running(command, place.port, tmp_path / "output.txt", {}) as tree:
        fleet = ["waitressd-code1", "waitressd-main", "waitressd-w1", "waitressd-w2"]
        assert wait_until(lambda: sorted(member.name for member in tree.members()) == fleet)
        assert tree.members()[0].name == "waitressd-main"
    assert tree.members() == []


def test_a_table_of_workers_says_what_they_achieve_and_what_the_machine_allows() -> None:
    one = Result("workers-burn", "waitressd", replace(FAST, rate=100.0), (), 1)
    two = replace(one, median=replace(FAST, rate=190.0, limit_rate=250.0), workers=2)
    peer = Result("workers-burn", "granian", replace(FAST, rate=95.0), (), 2)
    table = report.scaling_rows([peer, two, one])
    assert [row[:4] for row in table] == [
        ["waitressd", "1", "100", ""],
        ["waitressd", "2", "190", "1.90 (reaches 1.8)"],
        ["granian", "2", "95", ""],
    ]
    assert table[2][-3] == "2.00"
    slow = replace(two, median=replace(FAST, rate=150.0, limit_rate=250.0))
    assert report.scaling_rows([one, slow])[1][3] == "1.50 (misses 1.8)"
    small = replace(two, median=replace(FAST, rate=150.0, limit_rate=160.0))
    assert report.scaling_rows([one, small])[1][3] == "1.50 (misses 1.8; the machine allows 1.60)"
    assert "   * - waitressd\n     - 2\n     - 190\n" in report.manual_workers([one, two], FACTS)


def test_the_limit_is_where_the_cores_or_the_load_are_busy() -> None:
    assert limit_rate(8.0, 2.0, cores=2, load_threads=1, is_shared=True) == 200_000
    assert limit_rate(8.0, 2.0, cores=2, load_threads=1, is_shared=False) == 250_000
    assert limit_rate(1.0, 10.0, cores=2, load_threads=1, is_shared=False) == 100_000


def call(application: Any) -> tuple[str, list[tuple[str, str]], bytes]:
    heads: list[Any] = []
    body = b"".join(application({}, lambda status, fields: heads.append((status, fields))))
    return heads[0][0], heads[0][1], body


@pytest.mark.parametrize(
    "application", [apps.hello, apps.page, apps.stream, apps.block_1_ms, apps.burn_1_ms, apps.burn_2_ms]
)
def test_an_application_keeps_its_promised_length(application: Any) -> None:
    status, fields, body = call(application)
    assert status == "200 OK"
    assert int(dict(fields).get("Content-Length", len(body))) == len(body)


@pytest.mark.skipif(None in map(find_program, ("wrk", "openssl")), reason="wrk and openssl are programs of the system")
def test_a_load_by_tls(tmp_path: Path) -> None:
    scenario = next(each for each in SCENARIOS if each.is_secure)
    place = Place(Path("/env/bin"), 8080, tmp_path, tmp_path / "file")
    make_certificate(place)
    with running_server(apps.hello, tls_certificate=str(place.certificate), tls_key=str(place.key)) as running:
        load = run_load(replace(scenario, connections=4), running.port, 1.0)
    assert load.requests > 0
    assert load.errors == 0


@pytest.mark.skipif(find_program("wrk") is None, reason="wrk is a program of the system")
@pytest.mark.parametrize("name", ["hello-1", "post-10k", "new-connection", "browser"])
def test_a_load_counts_answers_and_finds_no_errors(name: str) -> None:
    scenario = next(each for each in SCENARIOS if each.name == name)
    with running_server(getattr(apps, scenario.app.partition(":")[2]), threads=2) as running:
        load = run_load(replace(scenario, connections=4), running.port, 1.0)
    assert load.requests > 0
    assert load.errors == 0
    assert load.cpu_seconds > 0
    assert 0 < load.p50 <= load.p99
