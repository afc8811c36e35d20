"""Workers share their clients: each has its part, one that hangs keeps nobody waiting, a reload closes nothing."""

import contextlib
import json
import os
import select
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.client import Client
from tests.support.fleets import Fleet, needs_a_fleet, serving, started
from tests.support.site import Site
from tests.support.waiting import wait_until
from waitressd.fleet.sharing import SLACK, SLACK_SHARE

pytestmark = needs_a_fleet

WHO: Final = b"GET /who HTTP/1.1\r\nHost: a\r\n\r\n"
PROBES: Final = 20


def pid_of(client: Client) -> int:
    client.send(WHO)
    answer = client.receive()
    assert answer.status == 200
    assert not answer.closes
    return int(json.loads(answer.body)["pid"])


@contextlib.contextmanager
def many(fleet: Fleet, count: int) -> Iterator[list[Client]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Client(fleet.address)) for _ in range(count)]


def test_clients_that_come_at_once_are_spread(tmp_path: Path) -> None:
    with serving(Site(tmp_path, workers=4)) as fleet, many(fleet, 32) as clients:
        for client in clients:
            client.send(WHO)
        shares = Counter(json.loads(client.receive().body)["pid"] for client in clients)
        counts = [*shares.values(), *([0] * (4 - len(shares)))]
        assert max(counts) - min(counts) <= SLACK + 8 / SLACK_SHARE + 1, counts


def ask_all(fleet: Fleet, stack: contextlib.ExitStack) -> set[int]:
    """Open one connection after the other, and keep them; return who has answered."""
    return {pid_of(stack.enter_context(Client(fleet.address))) for _ in range(PROBES)}


def test_one_that_is_stopped_keeps_no_new_client_waiting(tmp_path: Path) -> None:
    """Also where it has the fewest connections by far, and would be given more."""
    with serving(Site(tmp_path)) as fleet, contextlib.ExitStack() as stack:
        pid = pid_of(stack.enter_context(Client(fleet.address)))
        os.kill(pid, signal.SIGSTOP)
        stat = Path(f"/proc/{pid}/stat")
        assert wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
        assert pid not in ask_all(fleet, stack)
        os.kill(pid, signal.SIGCONT)
        assert wait_until(lambda: pid in ask_all(fleet, stack))
        assert fleet.terminate(10) == 0


def test_one_that_holds_the_interpreter_lock_keeps_no_new_client_waiting(tmp_path: Path) -> None:
    with serving(Site(tmp_path)) as fleet, contextlib.ExitStack() as stack:
        victim = stack.enter_context(Client(fleet.address))
        pid = pid_of(victim)
        victim.send(b"GET /hold/2 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.2)  # that it has the lock cannot be seen from outside
        assert pid not in ask_all(fleet, stack)
        assert not select.select([victim.sock], [], [], 0)[0], "they have waited"
        assert victim.receive().status == 200
        assert fleet.terminate(10) == 0


def test_a_reload_closes_no_idle_connection(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    site = Site(tmp_path, listen=f"127.0.0.1:0\n    unix:{path}")
    with serving(site) as fleet, many(fleet, 150) as clients, contextlib.ExitStack() as stack:
        clients += [stack.enter_context(Client(str(path))) for _ in range(50)]
        before = {pid_of(client) for client in clients[:-20]}  # the last ones have not been used yet
        site.write(2)
        fleet.reload()
        after = Counter(map(pid_of, clients))
        assert not before & after.keys()
        assert fleet.terminate(10) == 0


def test_what_a_balancer_said_is_known_after_a_reload(tmp_path: Path) -> None:
    site = Site(tmp_path, proxy_protocol="any", trusted_proxy="127.0.0.1", request_log="access")
    site.sections = "[request_log:access]\nuse = egg:waitressd#json\npath = %(here)s/access.log\n"
    site.write_ini(workers=1, supervise="true")
    with started(site) as fleet, contextlib.ExitStack() as stack:
        fleet.wait_for(r"Serving on \S+")
        client = stack.enter_context(Client(fleet.address))
        client.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 5555 80\r\n")
        first = pid_of(client)
        site.write(2)
        fleet.reload()
        assert pid_of(client) != first
        assert fleet.terminate(10) == 0
    lines = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    assert [(line["client.address"], line["waitressd.request_number"]) for line in lines] == [
        ("192.0.2.7", 1),
        ("192.0.2.7", 2),
    ]


def test_a_request_that_is_half_here_is_answered_where_it_is(tmp_path: Path) -> None:
    """And then its connection goes on elsewhere."""
    site = Site(tmp_path, workers=1, supervise="true")
    with serving(site) as fleet, Client(fleet.address) as client:
        old = pid_of(client)
        client.send(b"POST /who HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert client.sock.recv(1000).startswith(b"HTTP/1.1 100 ")
        site.write(2)
        mark = fleet.mark()
        fleet.signal(signal.SIGHUP)
        assert wait_until(lambda: {fleet.who()["version"] for _ in range(20)} == {2})
        client.send(b"ab")
        answer = client.receive()
        assert json.loads(answer.body)["pid"] == old
        assert not answer.closes
        assert pid_of(client) != old
        fleet.wait_for("reload done", mark)
        assert fleet.terminate(10) == 0
