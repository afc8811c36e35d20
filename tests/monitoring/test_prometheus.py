"""A real Prometheus scrapes a server, knows the alerts of the manual, and has what the board asks for."""

import json
import re
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.monitoring.test_files import FILES, expressions
from tests.support.client import Client
from tests.support.servers import free_port, server_process
from tests.support.waiting import wait_until

PROMETHEUS: Final = shutil.which("prometheus")

pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed")

CONFIG: Final = """
global: {{scrape_interval: 200ms, evaluation_interval: 200ms}}
rule_files: [{rules}]
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
APPLICATION: Final = """
from tests.apps.plain import hello

def application(environ, start_response):
    path = environ["PATH_INFO"]
    environ["waitressd.route"] = path.rpartition("/")[0] + '/{"a\\\\b\\n"}'
    if path.startswith("/broken"):
        raise RuntimeError("a defect of the application")
    return hello(environ, start_response)
"""
# Of these there is nothing in a single process that is well.
NOTHING: Final = {
    "max by (instance, code) (waitressd_finding) == 1",
    "max by (instance, reason) (waitressd_not_ready) == 1",
    "sum by (state) (waitressd_workers)",
    "sum by (reason) (increase(waitressd_worker_restarts_total[10s]))",
    'sum by (ended_by) (rate(waitressd_requests_total{ended_by!="complete"}[10s]))',
}


class Api:
    """Asks Prometheus."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer."""
        with Client(("127.0.0.1", self._port)) as client:
            answer = client.get(f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        found = json.loads(answer.body)
        assert found["status"] == "success", found
        return found["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what an expression gives now."""
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found


@contextmanager
def prometheus(folder: Path, admin_port: int) -> Iterator[Api]:
    """Run Prometheus, which scrapes an admin address of this machine."""
    assert PROMETHEUS is not None
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(rules=FILES / "alerts.yml", port=admin_port), encoding="utf-8")
    port = free_port()
    command = [PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", "--log.level=warn"]
    with (folder / "prometheus.txt").open("wb") as output:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=output, stderr=output)
    try:
        assert wait_until(lambda: process.poll() is None and is_ready(port), 30), (
            folder / "prometheus.txt"
        ).read_text()
        yield Api(port)
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait()


def is_ready(port: int) -> bool:
    try:
        with Client(("127.0.0.1", port)) as client:
            return client.get("/-/ready").status == 200
    except OSError:
        return False


def plain(expression: str) -> str:
    """Leave away what the board puts in for its reader."""
    return expression.replace("$__rate_interval", "10s").replace('job="$job", instance=~"$instance"', "")


def readable(expression: str) -> str:
    return re.sub(r"\{(, )?", "{", plain(expression)).replace("{}", "")


def test_a_real_prometheus_takes_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION, encoding="utf-8")
    arguments = ["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--request-log=combined", "shop:application"]
    with server_process(arguments, cwd=tmp_path) as server:
        admin_port = int(server.wait_for_output(r"Admin address on 127\.0\.0\.1:(\d+)")[1])
        with prometheus(tmp_path, admin_port) as api, server.connect() as client:
            for number in range(200):
                client.get(f"/page{number}/17")
            client.get("/broken/17", "Connection: close")

            def asks_and_sees_rates() -> bool:
                with server.connect() as other:
                    other.get("/page/17")
                rates = api.query("sum(rate(waitressd_requests_total[10s])) > 0")
                return (
                    bool(rates)
                    and len(api.query('http_server_request_duration_seconds_count{http_route=~"(?s)/broken.*"}')) > 0
                )

            assert wait_until(asks_and_sees_rates, 30)
            assert [each["value"][1] for each in api.query('up{job="shop"}')] == ["1"]
            (target,) = api.get("targets")["activeTargets"]
            assert (target["health"], target["lastError"]) == ("up", "")
            routes = {each["metric"]["http_route"] for each in api.query("http_server_request_duration_seconds_count")}
            assert '/page7/{"a\\b\n"}' in routes
            assert len(routes) >= 200
            rules = [rule for group in api.get("rules")["groups"] for rule in group["rules"]]
            assert len(rules) > 10
            assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
            empty = {readable(each) for each in expressions() if not api.query(readable(each))}
            assert empty <= NOTHING, sorted(empty - NOTHING)
