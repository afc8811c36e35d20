"""The driver of the benchmarks: figures are what they say, tables and pictures are right."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import apps, chart, report
from benchmarks.environment import find_program
from benchmarks.load import run_load
from benchmarks.measure import Result, Sample, summarize
from benchmarks.processes import Group
from benchmarks.scenarios import SCENARIOS
from benchmarks.servers import SERVERS, Place, make_certificate, takes_part
from tests.support.servers import running_server

FAST = Sample(
    rate=1200.0, cpu_microseconds=10.0, p50_microseconds=500, p99_microseconds=900, memory_bytes=2**20, errors=0
)
SLOW = replace(FAST, rate=100.0)
FACTS = {"machine": "a machine", "versions": {"python": "3.13.0", "waitress": "3.0.2"}, "rounds": 1, "seconds": 2.0}


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
        assert set(scenario.goals) | set(scenario.only) <= names
        module, _, name = scenario.app.partition(":")
        assert module != "benchmarks.apps" or callable(getattr(apps, name))


def test_every_server_gets_a_command_for_each_scenario(tmp_path: Path) -> None:
    place = Place(Path("/env/bin"), 8080, tmp_path, tmp_path / "file")
    for scenario in SCENARIOS:
        for server in SERVERS:
            if takes_part(server, scenario):
                command = server.command(place, scenario)
                assert server.is_static or any(scenario.app.partition(":")[0] in part for part in command)


def test_the_cost_of_a_process_group_includes_its_children() -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'while True: pass'])\n"
        "print('ready', flush=True)\n"
        "child.wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True) as process:
        group = Group(process.pid)
        try:
            assert process.stdout is not None
            process.stdout.readline()
            before = group.cpu_seconds()
            while group.cpu_seconds() < before + 0.1:
                pass
            assert len(group.members()) == 2
            assert group.memory_bytes() > 2**20
        finally:
            group.stop(process)
    assert [fields for fields in group.members() if fields[1] != "Z"] == []  # a zombie is init's to reap


def call(application: Any) -> tuple[str, list[tuple[str, str]], bytes]:
    heads: list[Any] = []
    body = b"".join(application({}, lambda status, fields: heads.append((status, fields))))
    return heads[0][0], heads[0][1], body


@pytest.mark.parametrize("application", [apps.hello, apps.page, apps.stream, apps.block_1_ms, apps.burn_1_ms])
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
    assert 0 < load.p50 <= load.p99
