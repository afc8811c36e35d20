"""The command: what it prints, which status it ends with; wrong input is in tests/functional/test_config_*.py."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path
from typing import Any
from wsgiref.simple_server import demo_app

import pytest

from tests.support import configapp
from tests.support.pki import Pki
from waitressd import __version__
from waitressd.cli import build_plan, main, open_source, this_machine
from waitressd.config.commandline import parse_command
from waitressd.fleet.cores import find_cores

CONFIGS = Path(__file__).parent.parent.parent / "configs"
INI = """\
[DEFAULT]
backlog = 5
[app:main]
use = call:tests.support.configapp:factory
[app:other]
use = call:tests.support.configapp:factory
name = other
[server:main]
use = egg:waitress#main
threads = 6
port = %(port_number)s
backlog = 9
"""


@pytest.fixture(autouse=True)
def a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start in a folder with an ini file; leave logging as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("a.ini").write_text(INI, encoding="utf-8")
    configapp.loaded.clear()
    root, ours = logging.getLogger(), logging.getLogger("waitressd")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (["--version"], f"waitressd {__version__} (Python 3."),
        (["-h"], "Usage: waitressd [OPTIONS] [TARGET] [NAME=VALUE ...]"),
        (["--help-all"], "Usage: waitressd"),
        (["--completion=bash"], "# bash completion"),
        (["--completion=zsh"], "#compdef waitressd"),
        (["--completion=fish"], "# fish completion"),
    ],
)
def test_it_informs(arguments: list[str], start: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, *arguments)
    assert status == 0
    assert out.startswith(start)
    assert err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="there a folder that is in use cannot be removed")
@pytest.mark.parametrize("argument", ["tests.support.configapp:application", "site.ini"])
def test_a_folder_that_was_removed(argument: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "release").mkdir()
    os.chdir(tmp_path / "release")
    (tmp_path / "release").rmdir()
    assert main([argument]) == 1
    assert capsys.readouterr().err == "waitressd: the current folder does not exist any more; change to another one\n"


def test_the_values_and_where_they_come_from(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "--print-config", "a.ini", "port_number=99", "--url-scheme=https")
    assert (status, err) == (0, "")
    assert "threads = 6                                     a.ini:10 [server:main]" in out
    assert "port = 99                                       a.ini:11 [server:main]" in out
    assert "url_scheme = https                              command line" in out
    assert "backlog = 1024                                  default" in out
    assert out.endswith("# hidden by a.ini:2 [DEFAULT]: a.ini:12 [server:main]: backlog = 9\n")
    assert not configapp.loaded


def test_what_auto_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--print-config", "a.ini", "port_number=99", "--workers=auto")
    assert f"\n# {find_cores()}\n" in out
    _, out, _ = run(capsys, "--print-config", "a.ini", "port_number=99")
    assert "# workers" not in out


def test_the_values_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--print-config=json", "a.ini", "port_number=99")
    listing = json.loads(out)
    assert status == 0
    assert listing["listeners"] == ["0.0.0.0:99"]
    assert listing["settings"]["threads"]["line"] == 10


def test_a_good_file_with_advice(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "--check-config", "a.ini", "port_number=99")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert [line.partition(" ")[0] for line in lines[:-1]] == ["W107", "W116"]
    assert lines[-1] == "a.ini: the configuration is good (advice: 2, see above)"
    assert configapp.loaded == [{}]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.ini")), ids=lambda path: path.name)
def test_the_files_that_we_ship_need_no_advice(
    path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pki = Pki(tmp_path)
    files = pki.write(pki.ca.create_child_ca().issue_cert("shop.example"), "site")
    files.certificate.rename(tmp_path / "fullchain.pem")
    files.key.rename(tmp_path / "privkey.pem")
    monkeypatch.setenv("TLS_FOLDER", str(tmp_path))
    monkeypatch.setenv("ACME_FOLDER", str(tmp_path))
    status, out, err = run(capsys, "-t", str(path))
    assert (status, err) == (0, "")
    assert out == f"{path}: the configuration is good\n"


def test_an_application_by_reference_is_checked_too(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "-t", "--listen=127.0.0.1:0", "wsgiref.simple_server:demo_app")
    assert (status, out) == (0, "wsgiref.simple_server:demo_app: the configuration is good\n")


def test_a_log_file_that_workers_would_share_is_advised_on(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    handler = TimedRotatingFileHandler(tmp_path / "a.log")
    logging.getLogger("tests.cli").addHandler(handler)
    try:
        for workers, count in ((1, 0), (2, 1)):
            reference = "wsgiref.simple_server:demo_app"
            status, out, _ = run(capsys, "-t", "--listen=127.0.0.1:0", f"--workers={workers}", reference)
            assert (status, out.count("W118 command line: TimedRotatingFileHandler rotates ")) == (0, count)
    finally:
        logging.getLogger("tests.cli").removeHandler(handler)
        handler.close()


def plan(*arguments: str) -> Any:
    command = parse_command(arguments)
    return build_plan(command, open_source(command))


def test_the_ini_file_gives_the_server_and_the_reference_the_application() -> None:
    built = plan("-c", "a.ini", "wsgiref.simple_server:demo_app", "port_number=1")
    assert built.adjustments.threads == 6
    assert built.load_application() is demo_app
    assert not configapp.loaded


def test_the_application_of_another_section() -> None:
    plan("a.ini", "-n", "other", "port_number=1").load_application()
    assert configapp.loaded == [{"name": "other"}]


def test_a_section_that_names_waitress_is_run_as_it_is() -> None:
    assert plan("a.ini", "port_number=1").adjustments.threads == 6


def test_variables_win_over_default() -> None:
    Path("a.ini").write_text(INI.replace("backlog = 5", "port_number = 5"), encoding="utf-8")
    assert plan("a.ini").adjustments.port == 5
    assert plan("a.ini", "port_number=6").adjustments.port == 6


def test_the_machine_says_what_it_has() -> None:
    machine = this_machine()
    assert machine.memory_bytes > 1 << 20
    assert machine.descriptors > 0
