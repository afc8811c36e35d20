"""The page of a real server in a real browser: all threads hang, and it shows who, where and since when."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.request import urlopen

import pytest
from selenium.webdriver.common.keys import Keys

from tests.support.chromium import Browser, missing
from tests.support.client import Client
from tests.support.servers import RunningServer, running_server
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=f"needs a browser; install {missing()}"),
    pytest.mark.timeout(120),  # a browser starts, and others use the same processors
]

HOSTILE: Final = "/<script>document.title='owned'</script>"


def totals(gate: threading.Event) -> None:
    gate.wait(60)  # here they hang


LINE: Final = totals.__code__.co_firstlineno + 1


class Shop:
    """An application that hangs until it is let go, but fails at /basket."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        environ["waitressd.route"] = "/{name}"
        if environ["PATH_INFO"] == "/basket":
            raise KeyError("sku")
        self.entered.append(environ["PATH_INFO"])
        totals(self.gate)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]


@contextmanager
def hung_server(count: int) -> Iterator[tuple[RunningServer, int]]:
    """A server with eight threads and `count` requests; yields it and the port of its admin address."""
    shop, clients = Shop(), list[Client]()
    with running_server(shop, threads=8, admin_listen="127.0.0.1:0") as running:
        assert wait_until(lambda: running.server.lanes and running.server.pulse is not None)
        try:
            with running.connect() as failed:
                failed.send(b"GET /basket HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert failed.receive().status == 500
            for number in range(count):
                client = running.connect(timeout=60)
                target = HOSTILE if number == 0 else f"/hang/{number}?secret=1"
                client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                clients.append(client)
            role = running.server.lanes[0].dispatcher.role
            assert wait_until(lambda: len(shop.entered) + len(role.queue) == count)
            yield running, running.server.admin_addresses[0][1]
        finally:
            shop.gate.set()
            for client in clients:
                client.receive()
                client.close()


def ask(port: int, path: str) -> Any:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as response:
        return json.load(response)


def test_a_server_that_hangs_is_shown_as_it_is(browser: Browser) -> None:
    with hung_server(20) as (_, port):
        browser.open(port)
        keys = browser.run("return [...document.querySelectorAll('#requests-table tr.opens')].map(e => e.dataset.key)")
        assert set(keys) == {row["id"] for row in ask(port, "/requests")["requests"]}
        assert browser.text("#requests-count") == "20 in flight: 8 in threads, 12 queued"
        assert browser.text("#server") == "waitressd"
        assert HOSTILE in browser.text("#requests-table td.text")
        assert "secret" not in browser.run("return document.documentElement.textContent")
        rows = "[...document.querySelectorAll('#requests-table tr.opens')]"
        browser.run(f"{rows}.find(row => row.innerText.includes('/hang/')).focus()")
        browser.press(Keys.ENTER)
        browser.wait("return document.querySelector('#requests-table .here')")
        assert f"test_insight_page_live.py:{LINE}totals" in browser.text("#requests-table .here")
        assert browser.text("#requests-table .here .line") == "gate.wait(60)  # here they hang"
        browser.wait("return document.querySelector('#findings').textContent.includes('WD03')")
        assert "KeyError: 'sku'" in browser.text("#slow-table tbody")
        browser.wait("return document.querySelector('#routes-table').textContent.includes('/{name}')")
        browser.click("#by-place")
        assert browser.text("#places-table td.age") == "8"
        assert browser.texts("#connections-table tbody td:nth-child(2)") == ["0", "0", "0", "12", "8", "0", "0"]
        assert browser.audit() == []
        assert browser.messages() == []
        assert browser.origins() - {"data:"} == {f"127.0.0.1:{port}"}
        browser.leave()


def test_a_profile_of_a_server_that_hangs(browser: Browser) -> None:
    with hung_server(8) as (_, port):
        browser.open(port)
        browser.click("#profile-take")
        browser.wait("return document.querySelectorAll('#icicle button').length > 3")
        weights = browser.run(
            "return [...document.querySelectorAll('#icicle button')].map(e => [e.call.name, e.call.weight])"
        )
        whole = weights[0][1]
        assert 8 * 4 <= whole <= 8 * 6  # eight threads for five seconds
        below = [weight for name, weight in weights if name.endswith(":totals")]
        assert sum(below) >= 0.95 * whole
        assert browser.messages() == []
        browser.leave()
