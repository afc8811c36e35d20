"""How metrics get out."""

from typing import Any

import pytest

from waitressd import create_server
from waitressd.dispatch.snapshot import EMPTY, Snapshot
from waitressd.metrics.serving import ShownMetrics, app_factory, make_application, request_log
from waitressd.requestlog import OptionError


class Server:
    open_beside = staticmethod(create_server)

    def snapshot(self) -> Snapshot:
        return EMPTY


def ask(application: Any, path: str = "/", method: str = "GET") -> tuple[str, str, str]:
    heads: list[tuple[str, dict[str, str]]] = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path}
    body = b"".join(application(environ, lambda status, fields: heads.append((status, dict(fields)))))
    ((status, fields),) = heads
    return status, fields["Content-Type"], body.decode()


def test_a_page_of_its_own_metrics() -> None:
    application = make_application(ShownMetrics())
    status, kind, text = ask(application)
    assert (status, kind) == ("200 OK", "text/plain; version=0.0.4; charset=utf-8")
    assert "waitressd_start_time_seconds" in text
    assert ask(application, "/metrics.json")[1] == "application/json"
    assert ask(application, method="POST")[0].startswith("405")


def test_a_page_of_whatever_counts_in_this_process() -> None:
    application = app_factory({})
    assert ask(application)[0].startswith("503")
    metrics = request_log({})
    metrics.start(Server())
    assert ask(application)[0] == "200 OK"
    metrics.close()
    metrics.close()
    assert ask(application)[0].startswith("503")


def test_a_listener_of_its_own() -> None:
    metrics = request_log({}, listen="127.0.0.1:0")
    metrics.close()  # before the start: nothing
    metrics.start(Server())
    assert metrics.address[1] > 0
    metrics.close()


@pytest.mark.parametrize(
    ("options", "option"),
    [({"listen": "127.0.0.1:99999"}, "listen"), ({"port": "1"}, "port"), ({"listen": ""}, "listen")],
)
def test_wrong_options(options: dict[str, str], option: str) -> None:
    with pytest.raises(OptionError) as caught:
        request_log({}, **options)
    assert caught.value.problems[0][0] == option
