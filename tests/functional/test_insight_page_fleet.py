"""The page of a fleet in a real browser: it shows the requests of all workers, and those of one alone."""

import json
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.chromium import Browser, missing
from tests.support.client import Client
from tests.support.fleets import needs_a_fleet, serving
from tests.support.site import Site
from tests.support.waiting import wait_until

pytestmark = [
    needs_a_fleet,
    pytest.mark.skipif(bool(missing()), reason=f"needs a browser; install {missing()}"),
    pytest.mark.timeout(120),  # a browser starts, and others use the same processors
]

KEYS = "return [...document.querySelectorAll('#requests-table tr.opens')].map(row => row.dataset.key)"


def test_it_shows_all_workers_and_each_of_them(browser: Browser, tmp_path: Path) -> None:
    site = Site(tmp_path, workers=2, threads=2, admin_listen="127.0.0.1:0")
    with serving(site) as fleet:
        port = int(fleet.wait_for(r"Admin address on 127\.0\.0\.1:(\d+)")[1])
        clients: list[Client] = []

        def rows() -> list[dict[str, object]]:
            with urlopen(f"http://127.0.0.1:{port}/requests", timeout=20) as response:
                found: list[dict[str, object]] = json.load(response)["requests"]
            return found

        def both_have_some() -> bool:
            clients.append(Client(fleet.address))
            clients[-1].send(b"GET /sleep/60 HTTP/1.1\r\nHost: a\r\n\r\n")
            assert wait_until(lambda: len(rows()) == len(clients))
            return {row["worker"] for row in rows()} == {1, 2}

        try:
            assert wait_until(both_have_some)
            browser.open(port)
            ids = {str(row["id"]) for row in rows()}
            browser.wait(f"return new Set((() => {{{KEYS}}})()).size === {len(ids)}")
            assert set(browser.run(KEYS)) == ids
            assert [option[:8] for option in browser.texts("#worker option")[1:]] == ["worker 1", "worker 2"]
            browser.run(
                "const worker = document.querySelector('#worker'); worker.value = '2';"
                "worker.dispatchEvent(new Event('change'))"
            )
            of_two = {each for each in ids if each.startswith("2-")}
            browser.wait(f"return (() => {{{KEYS}}})().every(key => key.startsWith('2-'))")
            assert set(browser.run(KEYS)) == of_two
            assert browser.messages() == []
            assert browser.origins() - {"data:"} == {f"127.0.0.1:{port}"}
            browser.leave()
        finally:
            for client in clients:
                client.close()
        fleet.cut_off()
