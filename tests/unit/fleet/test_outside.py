"""What a master shows to others, and that it imports nothing of what it does not show."""

import errno
import selectors
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.admin import ask
from tests.support.client import Client
from waitressd.command import StartCommand
from waitressd.fleet.figures import Figures
from waitressd.fleet.hello import Hello
from waitressd.fleet.outside import Outside, Showing
from waitressd.fleet.plan import Plan
from waitressd.fleet.roster import Roster


def hello(**settings: str) -> Hello:
    return Hello(workers=2, is_preloaded=True, preload_is_off="", settings={"listen": "127.0.0.1:8080", **settings})


def test_an_admin_address_answers_from_the_code_that_has_one_to_the_end(tmp_path: Path) -> None:
    plan, roster, poller = Plan(), Roster(StartCommand((), {}, "/")), selectors.DefaultSelector()
    outside = Outside(plan, roster, Figures(plan, roster).state, poller)
    with poller:
        outside.show(hello())
        outside.look(time.monotonic(), is_leaving=False)
        outside.keep([hello()])
        outside.open_anew()
        assert (outside.insight, outside.takes_orders()) == (None, False)
        path = tmp_path / "admin.sock"
        asked = hello(admin_listen=f"unix:{path}", admin_control="drain")
        outside.show(asked)
        outside.look(time.monotonic(), is_leaving=False)
        with Client(str(path)) as client:
            assert ask(client, "/ready", host="localhost").status == 503
            answer = ask(client, "/control/drain", "X-Waitressd-Control: 1", method="POST", host="localhost")
            assert answer.status == (202 if sys.platform == "linux" else 403)
        if answer.status == 202:
            assert poller.select(10)
            assert outside.takes_orders()
        outside.keep([asked])
        outside.open_anew()
        outside.close()
        assert not path.exists()


def test_the_address_of_a_request_log_answers_metrics_and_may_be_another_after_a_reload(tmp_path: Path) -> None:
    plan, roster, poller = Plan(), Roster(StartCommand((), {}, "/")), selectors.DefaultSelector()
    outside = Outside(plan, roster, Figures(plan, roster).state, poller)
    old, new = (f"{tmp_path}/{name}.sock" for name in ("old", "new"))
    first = replace(hello(), counts=True, metrics=[f"unix:{old}"])
    second = replace(hello(), counts=True, metrics=[f"unix:{new}"])
    with poller:
        outside.show(first)
        outside.look(time.monotonic(), is_leaving=False)
        outside.show(second)
        for path in (old, new):
            with Client(path) as client:
                assert [ask(client, what).status for what in ("/metrics", "/ready", "/requests")] == [200, 503, 404]
        outside.keep([second])
        assert [Path(path).exists() for path in (old, new)] == [False, True]
        outside.close()


def test_what_cannot_be_handed_over_answers_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, roster, poller = Plan(), Roster(StartCommand((), {}, "/")), selectors.DefaultSelector()
    outside = Outside(plan, roster, Figures(plan, roster).state, poller)
    asked = hello(admin_listen=f"unix:{tmp_path}/one.sock unix:{tmp_path}/two.sock")
    shown, duplicate = Showing([asked]), socket.socket.dup
    known: list[socket.socket] = []

    def refuse_the_second(sock: socket.socket) -> socket.socket:
        if known:
            raise OSError(errno.EMFILE, "Too many open files")
        known.append(duplicate(sock))
        return known[0]

    with poller:
        outside.show(asked)
        insight = outside.insight
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "dup", refuse_the_second)
            with pytest.raises(OSError, match="Too many open files"):
                outside.hand_over(shown)
        outside.resume(shown)
        assert outside.insight is insight
        assert known[0].fileno() < 0, "nothing is left behind"
        for name in ("one", "two"):
            with Client(f"{tmp_path}/{name}.sock") as client:
                assert ask(client, "/ready", host="localhost").status == 503
        outside.hand_over(shown)
        assert outside.insight is None
        outside.resume(shown)
        for name in ("one", "two"):
            with Client(f"{tmp_path}/{name}.sock") as client:
                assert ask(client, "/ready", host="localhost").status == 503
        outside.close()
    assert list(tmp_path.iterdir()) == []


def test_a_master_that_is_not_asked_imports_no_answers() -> None:
    program = "import sys, waitressd.fleet.master; print([name for name in sys.modules if 'waitressd.insight' in name])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
