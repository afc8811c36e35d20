"""An application that changes the current folder changes none of the server's relative paths."""

import os
import signal
from pathlib import Path

import pytest

from tests.functional.test_requestlog_ini import PSERVE, WAITRESSD, lines_of
from tests.support.servers import ROOT, server_process
from tests.support.waiting import wait_until

APPLICATION = """\
import os
def move(when):
    if os.environ["MOVE"] == when:
        os.chdir(os.environ["ELSEWHERE"])
move("import")
def application(environ, start_response):
    move("request")
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
def factory(global_conf):
    move("factory")
    return application
"""
INI = """\
[app:main]
use = config:other.ini
[server:main]
use = config:base.ini
unix_socket = run.sock
spool_directory = spool
inbuf_overflow = 0
request_log = access
[request_log:access]
use = common
path = access.log
[loggers]
keys = root
[handlers]
keys = file, console
[formatters]
keys =
[logger_root]
level = INFO
handlers = file, console
[handler_console]
class = StreamHandler
[handler_file]
class = FileHandler
args = ('server.log', 'a', None, True)
"""


@pytest.mark.parametrize("command", [PSERVE, WAITRESSD], ids=["pserve", "waitressd"])
@pytest.mark.parametrize("when", ["import", "factory", "request"])
def test_relative_paths_belong_to_the_folder_of_the_start(command: tuple[str, ...], when: str, tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here, elsewhere, here / "spool"):
        folder.mkdir()
    (here / "a.ini").write_text(INI, encoding="utf-8")
    (here / "base.ini").write_text("[server:main]\nuse = egg:waitressd\n", encoding="utf-8")
    (here / "other.ini").write_text("[app:main]\nuse = call:moving:factory\n", encoding="utf-8")
    (here / "moving.py").write_text(APPLICATION, encoding="utf-8")
    environment = {"MOVE": when, "ELSEWHERE": str(elsewhere), "PYTHONPATH": f"{here}{os.pathsep}{ROOT}"}
    with server_process(["a.ini"], command=command, cwd=here, environment=environment) as server:
        with server.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody")
            assert client.receive("POST").status == 200
        assert len(lines_of(here / "access.log", 1)) == 1
        for name in ("access.log", "server.log"):
            (here / name).rename(here / f"{name}.1")
        server.signal(signal.SIGHUP)
        wait_until(lambda: (here / "access.log").exists())
        assert server.terminate() == 0
    assert (here / "server.log").exists()
    assert not (here / "run.sock").exists()
    assert list(elsewhere.iterdir()) == []
