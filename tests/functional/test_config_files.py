"""Wrong files: sections, chains, interpolation, logging, applications. Each ends our command with one exact message.

`wrongfiles.txt` holds them: "=== name", the file, perhaps "--- base.ini" and a second one, "-> " and the messages.
"""

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import pytest

from tests.support import configapp
from waitressd.cli import main

SECTIONS: Final = "[app:main]\nuse = call:tests.support.configapp:factory\n[server:main]\nuse = egg:waitressd\n"


def cases() -> Iterator[Any]:
    text = Path(__file__).with_name("wrongfiles.txt").read_text(encoding="utf-8")
    for block in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]:
        name, _, rest = block.partition("\n")
        files, _, messages = rest.partition("\n-> ")
        first, *others = re.split(r"^--- (\S+)\n", files + "\n", flags=re.MULTILINE)
        named = {"wrong.ini": first, **dict(zip(others[::2], others[1::2], strict=True))}
        yield pytest.param(named, messages, id=name)


@pytest.fixture(autouse=True)
def a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start in a folder of its own; leave logging as it was."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configapp.loaded.clear()
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])


@pytest.mark.parametrize(("files", "messages"), list(cases()))
def test_our_command_says_what_is_wrong(
    files: dict[str, str], messages: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
    assert main(["wrong.ini"]) == 2
    captured = capsys.readouterr()
    assert captured.err == messages
    assert captured.out == ""
    assert not configapp.loaded


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"\xef\xbb\xbf[server:main]\n",
            "a.ini:1: the file starts with a byte order mark; save it as UTF-8 without one\n",
        ),
        (b"[server:main]\n# caf\xe9\n", "a.ini:2: this line is not UTF-8; save the file as UTF-8\n"),
        (b"[server:main]\nx\ny\n", "a.ini:2: x: expected key = value\na.ini:3: y: expected key = value\n"),
    ],
)
def test_bytes_that_are_no_ini_file(content: bytes, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.ini").write_bytes(content)
    assert main(["a.ini"]) == 2
    assert capsys.readouterr().err == message


HELP: Final = " (waitressd --help lists the options)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.ini"], "missing.ini: there is no such file"),
        (["/"], "command line: /: expected an ini file (production.ini), a plaster URI or MODULE:OBJECT"),
        (["wrong"], "command line: wrong: expected an ini file (production.ini), a plaster URI or MODULE:OBJECT"),
        (["x.conf"], "command line: x.conf: nothing can read a .conf file; expected a file that ends in .ini"),
        (["a.ini", "b.ini"], f"command line: two ini files: a.ini and b.ini{HELP}"),
        (["a:b", "c:d"], f"command line: two applications: a:b and c:d{HELP}"),
        (["os:"], "command line: os:: expected MODULE:OBJECT"),
        (["egg:nosuchegg"], "egg://nosuchegg: the distribution nosuchegg is not installed"),
        (["--threads"], f"command line: --threads: expected one argument{HELP}"),
        (["--thred=4", "os:path"], f"command line: unknown option --thred; did you mean --threads?{HELP}"),
        (["--workers=many", "os:path"],
         "command line: --workers=many: expected a whole number, 1 to 256, or auto"),
        (["--processes=4", "os:path"], "command line: unknown option --processes; it looks like an option of uWSGI: "
         f"use workers{HELP}"),
        (["--threads=x", "os:path"], "command line: --threads=x: expected a whole number, 1 to 1024"),
        (["--no-ipv6=1", "os:path"], f"command line: --no-ipv6 takes no value; its opposite is --ipv6{HELP}"),
        (["--reload", "--threads=x", "os:path"],
         "command line: --threads=x: expected a whole number, 1 to 1024"),
        (["--server-name=*", "os:path"], "command line: --server-name=*: expected a host name or an IP address"),
        (["--server-name=a:80", "os:path"],
         "command line: --server-name=a:80: a name without a port: URLs get the port of the listener"),
        (["--host=http://a", "os:path"], "command line: --host=http://a: leave out http:// and any path"),
        (["--listen=udp:1.2.3.4:5", "os:path"],
         "command line: --listen=udp:1.2.3.4:5: expected host:port, *:port, [::1]:port, unix:/path or fd:N"),
        (["--ipv4=no", "os:path"], f"command line: --ipv4 takes no value; its opposite is --no-ipv4{HELP}"),
        (["a:b", "x=1"],
         "command line: x=1: variables are for an ini file; a setting is given as an option, --NAME=VALUE"),
        (["--reload", "--reload-interval=x", "a:b"],
         "command line: --reload-interval=x: expected a whole number of seconds, 1 to 3600"),
        (["--listen=*:80", "--port=3", "os:path"],
         "command line: --port=3: cannot go with listen; name every address in listen (host:port, unix:/path)"),
        (["--check-config"], "command line: name an ini file or MODULE:OBJECT (waitressd --help)"),
        ([], "command line: name an ini file or MODULE:OBJECT (waitressd --help)"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_ends_with_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == message + "\n"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("os:sep", "os:sep: the application must be callable, and '/' is not"),
        ("os:path", "os:path: the application must be callable, and posixpath is a module"),
        (
            "asyncio:sleep",
            "asyncio:sleep: the application is asynchronous (ASGI), and this server calls WSGI applications, "
            "with environ, start_response",
        ),
        (
            "tests.support.configapp:no_arguments",
            "tests.support.configapp:no_arguments: the application is called with environ and start_response, and "
            "no_arguments takes nothing; if it makes the application, it must be called first (option --call)",
        ),
        ("os:pat", "os:pat: os has no pat; did you mean path?"),
        ("json.decoder:JSONDecoder.xyzzy", "json.decoder:JSONDecoder.xyzzy: JSONDecoder has no xyzzy"),
    ],
)
def test_what_is_no_application_ends_with_status_1(
    reference: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--listen=127.0.0.1:0", reference]) == 1
    assert capsys.readouterr().err == f"waitressd: {message}\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_answer_that_cannot_be_written_is_no_traceback() -> None:
    def ask(output: "IO[str] | int") -> "subprocess.CompletedProcess[str]":
        root = str(Path(__file__).parent.parent.parent)
        return subprocess.run(
            [sys.executable, "-m", "waitressd", "--help-all"],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=30,
            env={"PYTHONPATH": root},
        )

    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = ask(full)
    text = "waitressd: cannot write to standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, text)
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = ask(writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_missing_module_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--listen=127.0.0.1:0", "nosuch.module:app"]) == 1
    expected = f"waitressd: nosuch.module:app: there is no module nosuch (looked in {Path.cwd()} and sys.path)\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("flags", [[], ["--check-config"]], ids=["serve", "check"])
def test_the_only_traceback_is_the_application_s_own(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.ini").write_text(f"{SECTIONS}listen = 127.0.0.1:0\n".replace(":factory", ":failing"), encoding="utf-8")
    assert main([*flags, "a.ini"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "configapp.py" in lines[1]
    assert lines[-2:] == [
        "KeyError: 'the key that this application misses'",
        "waitressd: the application could not be loaded",
    ]


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("def factory(global_conf:\n", "SyntaxError: '(' was never closed"),
        (
            "from importlib.metadata import version\n\ndef factory(global_conf):\n    version('nosuch')\n",
            "importlib.metadata.PackageNotFoundError: No package metadata was found for nosuch",
        ),
        (
            "from configparser import ConfigParser\n\ndef factory(global_conf):\n    ConfigParser()['shop']\n",
            "KeyError: 'shop'",
        ),
        ("", "AttributeError: module 'shopapp' has no attribute 'factory'"),
    ],
    ids=["syntax", "metadata", "configparser", "missing"],
)
def test_mistakes_of_the_application_are_not_blamed_on_the_file(
    text: str, last: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("shopapp.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    sections = "[server:main]\nuse = egg:waitressd\nlisten = 127.0.0.1:0\n[app:main]\nuse = call:shopapp:factory\n"
    Path("a.ini").write_text(sections, encoding="utf-8")
    assert main(["a.ini"]) == (1 if text else 2)
    lines = capsys.readouterr().err.splitlines()
    if text:
        assert lines[-2:] == [last, "waitressd: the application could not be loaded"]
    assert "loadwsgi" not in "".join(lines)
    sys.modules.pop("shopapp", None)


def test_a_request_log_may_come_from_the_current_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("shoplog.py").write_text("def make(global_conf):\n    return print\n", encoding="utf-8")
    Path("shop.py").write_text("def app(environ, start_response): ...\n", encoding="utf-8")
    root = str(Path(__file__).parent.parent.parent)
    done = subprocess.run(
        [str(Path(sys.executable).parent / "waitressd"), "--check-config", "--request-log=shoplog:make", "shop:app"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={"PYTHONPATH": root},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_import_that_fails_in_the_application_shows_where() -> None:
    Path("shop.py").write_text("import nosuchmodule\n", encoding="utf-8")
    root = str(Path(__file__).parent.parent.parent)
    done = subprocess.run(
        [sys.executable, "-m", "waitressd", "--listen=127.0.0.1:0", "shop:app"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={"PYTHONPATH": root},
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert "shop.py" in lines[1]
    assert "waitressd/cli.py" not in done.stderr
    assert lines[-2] == "ModuleNotFoundError: No module named 'nosuchmodule'"


def test_a_factory_that_returns_no_application(capsys: pytest.CaptureFixture[str]) -> None:
    text = f"{SECTIONS}listen = 127.0.0.1:0\n".replace(":factory", ":not_an_application")
    Path("a.ini").write_text(text, encoding="utf-8")
    assert main(["a.ini"]) == 1
    assert capsys.readouterr().err.startswith("waitressd: a.ini: the application must be callable, and <")


@pytest.mark.parametrize(
    "main_section",
    [
        "[app:main]\nuse = config:base.ini#web\n",
        "[pipeline:main]\npipeline = web\n[app:web]\nuse = config:base.ini#web\n",
        "[composite:main]\nuse = call:tests.functional.test_config_files:compose\nweb = config:base.ini#web\n",
    ],
    ids=["app", "pipeline", "composite"],
)
def test_what_an_application_uses_is_looked_for_beside_its_file(
    main_section: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the file is named without a folder."""
    Path("base.ini").write_text("[app:web]\nuse = call:tests.support.configapp:factory\n", encoding="utf-8")
    Path("a.ini").write_text(
        f"[server:main]\nuse = egg:waitressd\nlisten = 127.0.0.1:0\n{main_section}", encoding="utf-8"
    )
    assert main(["--check-config", "a.ini"]) == 0
    assert capsys.readouterr().err == ""


def compose(loader: Any, _global_conf: object, **apps: str) -> Any:
    """Make a composite of one."""
    return loader.get_app(apps["web"])


@pytest.mark.parametrize("flags", [[], ["--check-config"]], ids=["serve", "check"])
def test_problems_of_every_kind_are_told_at_once(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.ini").write_text(
        "[app:main]\nuse = call:tests.support.configapp:factory\n"
        "[server:main]\nuse = egg:waitresd\nlisten = 127.0.0.1:0\nspool_directory = /no/such\nthreads = four\n"
        "request_log = access\n[request_log:access]\nuse = combined\npath = ${NO_SUCH_VARIABLE}\n"
        "[request_log:unused]\nuse = combined\npath = ${NO_SUCH_VARIABLE}\n"
        "[loggers]\nkeys = root\n[handlers]\nkeys = console\n[formatters]\nkeys =\n"
        "[logger_root]\nlevel = LOUD\nhandlers = console\n[handler_console]\nclass = StreamHandler\n"
        "args = (sys.stderr,)\n",
        encoding="utf-8",
    )
    assert main([*flags, "a.ini"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[2].partition(" ")[0] for line in lines] == ["4", "7", "11", "22"]
    Path("a.ini").write_text(
        Path("a.ini").read_text().replace("four", "4").replace("LOUD", "INFO").replace("waitresd", "waitressd"),
        encoding="utf-8",
    )
    assert main([*flags, "a.ini"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "NO_SUCH_VARIABLE" in lines[0]


@pytest.mark.parametrize(
    ("use", "logging_level", "silent"),
    [("combined", "", True), ("egg:waitressd#json", "", True), ("common", "INFO", False), ("dev", "", False)],
)
def test_a_request_log_that_goes_nowhere_is_advised_against(use: str, logging_level: str, *, silent: bool) -> None:
    """Without [loggers], the standard library shows warnings alone."""
    text = (
        "[app:main]\nuse = call:tests.support.configapp:factory\n[server:main]\nuse = egg:waitressd\n"
        f"listen = 127.0.0.1:0\nrequest_log = access\n[request_log:access]\nuse = {use}\n"
    )
    if logging_level:
        text += (
            "[loggers]\nkeys = root\n[handlers]\nkeys = c\n[formatters]\nkeys =\n[logger_root]\n"
            f"level = {logging_level}\nhandlers = c\n[handler_c]\nclass = StreamHandler\n"
        )
    Path("a.ini").write_text(text, encoding="utf-8")
    done = subprocess.run(  # a process of its own: logging is set up once in each
        [sys.executable, "-m", "waitressd", "--check-config", "a.ini"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)},
    )
    assert ("W117 a.ini:6 [server:main]: a request log writes to the logger waitressd.access" in done.stdout) is silent


def test_options_of_request_logs_are_told_with_everything_else(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.ini").write_text(
        "[app:main]\nuse = call:tests.support.configapp:factory\n"
        "[server:main]\nuse = egg:waitressd\nlisten = 127.0.0.1:0\nspool_directory = /no/such\n"
        "request_log = access\n[request_log:access]\nuse = combined\npaht = x\n",
        encoding="utf-8",
    )
    assert main(["--check-config", "a.ini"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[2].partition(" ")[0] for line in lines] == ["6", "10"]


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("mysite.wsgi.application", "did you mean mysite.wsgi:application?"),
        ("mysite.wsgi", "did you mean mysite.wsgi:application?"),
        ("mysite/wsgi.py", "did you mean mysite.wsgi:application?"),
        ("./mysite/wsgi.py:app", "did you mean mysite.wsgi:app?"),
        ("../mysite/wsgi.py:app", "did you mean mysite.wsgi:app?"),
        ("mysite/wsgi:app", "did you mean mysite.wsgi:app?"),
        ("{cwd}/mysite/wsgi.py:app", "did you mean mysite.wsgi:app?"),
        ("mysite\\wsgi.py:app", "did you mean mysite.wsgi:app?"),
        ("bazaar.py:app", "did you mean bazaar:app?"),
        ("--app=bazaar.py", "did you mean bazaar:application?"),
        ("bazaar", "did you mean bazaar:application?"),
        ("bazaar.main", "did you mean bazaar.main:application?"),
        ("bazaar.app", "did you mean bazaar:app?"),
        ("nothing.app", "did you mean nothing:app?"),
    ],
)
def test_a_target_of_another_server_is_explained(target: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bazaar").mkdir()
    for name in ("bazaar/__init__.py", "bazaar/main.py", "bazaar/helpers.py"):
        Path(name).touch()
    assert main(["--listen=127.0.0.1:0", target.format(cwd=Path.cwd())]) in (1, 2)
    assert hint in capsys.readouterr().err


def test_the_values_of_another_server_are_not_judged(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.ini").write_text("[server:main]\nuse = egg:gunicorn\nworkers = 4\n", encoding="utf-8")
    assert main(["a.ini"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
