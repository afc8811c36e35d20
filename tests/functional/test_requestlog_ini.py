"""Request logs as an operator configures them: ini files through pserve, plugins of other distributions, rotation."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.support.frontends import replace_places
from tests.support.jsonschema import complaints
from tests.support.servers import ROOT, ServerProcess, server_process

ENVIRONMENT: Final = {**os.environ, "PYTHONPATH": str(ROOT)}
PSERVE: Final = (
    sys.executable, "-W", "ignore", "-c", "import sys; from pyramid.scripts.pserve import main; sys.exit(main())",
)  # fmt: skip
WAITRESSD: Final = (sys.executable, "-m", "waitressd")
HEAD: Final = "[app:main]\nuse = call:waitressd.deploy:demo\n[server:main]\nuse = egg:waitressd\nlisten = 127.0.0.1:0\n"
LOGGING: Final = (
    "[loggers]\nkeys = root, access\n[handlers]\nkeys = console, access\n[formatters]\nkeys = plain, message\n"
    "[logger_root]\nlevel = INFO\nhandlers = console\n"
    "[logger_access]\nlevel = INFO\nhandlers = access\nqualname = waitressd.access\npropagate = 0\n"
    "[handler_console]\nclass = StreamHandler\nargs = (sys.stderr,)\nformatter = plain\n"
    "[handler_access]\nclass = FileHandler\nargs = ('%(here)s/logged.log',)\nformatter = message\n"
    "[formatter_plain]\nclass = waitressd.requestlog.RequestFormatter\n"
    "format = %(levelname)s %(name)s [%(request_id)s] %(message)s\n"
    "[formatter_message]\nformat = %(message)s\n"
)
COMBINED: Final = re.compile(
    r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "[^"]*" \d{3} \d+ "[^"]*" "[^"]*"'
)


@pytest.fixture
def ini(tmp_path: Path) -> Callable[[str, str], list[str]]:
    """Write an ini file: settings of the server, then further sections."""

    def write(settings: str, sections: str = "") -> list[str]:
        (tmp_path / "a.ini").write_text(f"{HEAD}{settings}\n{sections}\n{LOGGING}", encoding="utf-8")
        return [str(tmp_path / "a.ini")]

    return write


def lines_of(path: Path, count: int) -> list[str]:
    """Wait until a file has that many lines."""
    end = time.monotonic() + 20
    while True:
        text = path.read_text(encoding="ascii") if path.exists() else ""
        if text.count("\n") >= count or time.monotonic() > end:
            assert text.endswith("\n") or not text
            return text.splitlines()
        time.sleep(0.01)


def get(server: ServerProcess, path: str = "/", *fields: str) -> int:
    with server.connect() as client:
        return client.get(path, *fields).status


@pytest.mark.parametrize("command", [PSERVE, WAITRESSD], ids=["pserve", "waitressd"])
def test_a_built_in_format_goes_to_the_logger(
    command: tuple[str, ...], ini: Callable[[str, str], list[str]], tmp_path: Path
) -> None:
    with server_process(ini("request_log = combined", ""), command=command) as server:
        with server.connect() as client:
            answer = client.get("/?a=b", "User-Agent: test/1.0", "Referer: http://a.example/")
        lines = lines_of(tmp_path / "logged.log", 1)
        assert server.terminate() == 0
    assert len(lines) == 1
    assert COMBINED.fullmatch(lines[0])
    assert lines[0].endswith(f'"GET /?a=b HTTP/1.1" 200 {len(answer.body)} "http://a.example/" "test/1.0"')


def test_several_logs_at_once(ini: Callable[[str, str], list[str]], tmp_path: Path) -> None:
    sections = (
        "[request_log:access]\nuse = egg:waitressd#common\npath = %(here)s/access.log\n"
        "[request_log:short]\nuse = template\nformat = {client} {method} {target}\n"
        "    {status} {request.x-a} {duration:.3f}\n"
        "path = %(here)s/short.log\n"
        "[request_log:lines]\nuse = egg:waitressd#json\npath = %(here)s/lines.json\nfields = request.x-a\n"
    )
    with server_process(ini("request_log = access short\n    lines", sections), command=PSERVE) as server:
        get(server, "/count", 'X-A: "quoted"')
        assert server.terminate() == 0
    assert lines_of(tmp_path / "access.log", 1)[0].endswith('"GET /count HTTP/1.1" 200 3893')
    assert re.fullmatch(r'127\.0\.0\.1 GET /count 200 \\"quoted\\" 0\.\d{3}', lines_of(tmp_path / "short.log", 1)[0])
    found = json.loads(lines_of(tmp_path / "lines.json", 1)[0])
    assert found["http.request.header.x-a"] == ['"quoted"']
    assert found["http.response.body.size"] == 3893


def test_dev_on_standard_error(ini: Callable[[str, str], list[str]]) -> None:
    with server_process(ini("request_log = dev", ""), command=PSERVE) as server:
        get(server, "/error")
        server.wait_for_output(r"GET +/error\n +Traceback")
        server.wait_for_output("RuntimeError: this page fails")
        assert server.terminate() == 0
    assert server.output.count("Traceback (most recent call last)") == 1
    assert "\x1b" not in server.output


def test_lines_of_the_log_carry_the_request_id(ini: Callable[[str, str], list[str]], tmp_path: Path) -> None:
    sections = "[request_log:lines]\nuse = json\npath = %(here)s/lines.json\n"
    with server_process(ini("request_log = lines", sections), command=PSERVE) as server:
        get(server, "/error")
        found = json.loads(lines_of(tmp_path / "lines.json", 1)[0])
        server.wait_for_output(rf"ERROR waitressd \[{found['waitressd.request_id']}\] Exception while serving")
        assert "INFO waitressd [-] Serving on" in server.output
    assert found["error.type"] == "RuntimeError"


@pytest.mark.parametrize(
    ("settings", "sections", "expected"),
    [
        (
            "request_log = a",
            "[request_log:a]\nuse = combined\npaht = x\n",
            "a.ini:9 [request_log:a]: paht = x: unknown option; did you mean path?",
        ),
        (
            "request_log = a",
            "[request_log:a]\nuse = template\nformat = {clinet} {status}\n",
            "a.ini:9 [request_log:a]: format = {clinet} {status}: unknown field {clinet}; did you mean client?",
        ),
        (
            "request_log = a",
            "[request_log:a]\nuse = egg:waitressd#combnied\n",
            "a.ini:8 [request_log:a]: use = egg:waitressd#combnied: waitressd has no entry point combnied",
        ),
        (
            "request_log = a",
            "[request_log:a]\nuse = egg:no-such-thing\n",
            "a.ini:8 [request_log:a]: use = egg:no-such-thing: there is no distribution no-such-thing installed here",
        ),
        (
            "request_log = no.such:module",
            "",
            "a.ini:6 [server:main]: request_log = no.such:module: cannot import no.such: No module named 'no'",
        ),
        (
            "request_log = a",
            "[request_log:a]\nuse = metrics\nlisten = 127.0.0.1:99999\n",
            "a.ini:9 [request_log:a]: listen = 127.0.0.1:99999: ",
        ),
        (
            "request_log = a b",
            "[request_log:a]\nuse = json\n[request_log:b]\nuse = common\npath = x\nlogger = y\n",
            "a.ini:11 [request_log:b]: path = x: a line goes to a file or to a logger; keep path or logger",
        ),
    ],
)
@pytest.mark.parametrize("command", [PSERVE, (*WAITRESSD, "--check-config")], ids=["pserve", "check"])
def test_a_wrong_log_never_starts(
    command: tuple[str, ...],
    settings: str,
    sections: str,
    expected: str,
    ini: Callable[[str, str], list[str]],
    tmp_path: Path,
) -> None:
    ended = subprocess.run(
        [*command, *ini(settings, sections)],
        capture_output=True, text=True, check=False, timeout=50, cwd=tmp_path, env=ENVIRONMENT,
    )  # fmt: skip
    assert ended.returncode in {1, 2}
    assert expected in ended.stderr
    assert "Traceback" not in ended.stderr


def test_all_problems_at_once(ini: Callable[[str, str], list[str]], tmp_path: Path) -> None:
    sections = (
        "[request_log:a]\nuse = json\nfields = nope\n[request_log:b]\nuse = common\npath = x\nlogger = y\nmode = 9\n"
    )
    ended = subprocess.run(
        [*PSERVE, *ini("request_log = a b", sections)],
        capture_output=True, text=True, check=False, timeout=50, cwd=tmp_path, env=ENVIRONMENT,
    )  # fmt: skip
    assert [line for line in ended.stderr.splitlines() if line.startswith("a.ini:")] == [
        "a.ini:9 [request_log:a]: fields = nope: unknown field {nope}"
        + ended.stderr.split("unknown field {nope}")[1].split("\n")[0],
        "a.ini:14 [request_log:b]: mode = 9: expected an octal file mode, 000 to 777",
        "a.ini:12 [request_log:b]: path = x: a line goes to a file or to a logger; keep path or logger",
    ]


def test_a_file_that_cannot_be_opened_stops_the_start(ini: Callable[[str, str], list[str]], tmp_path: Path) -> None:
    sections = "[request_log:a]\nuse = common\npath = %(here)s/missing/a.log\n"
    ended = subprocess.run(
        [*WAITRESSD, *ini("request_log = a", sections)],
        capture_output=True, text=True, check=False, timeout=50, cwd=tmp_path, env=ENVIRONMENT,
    )  # fmt: skip
    assert ended.returncode == 1
    assert f"cannot open the request log {tmp_path}/missing/a.log: No such file or directory" in ended.stderr
    assert "Traceback" not in ended.stderr


PLUGIN: Final = '''
"""A plugin as somebody else would write it."""

import json


class Ledger:
    def __init__(self, path, prefix):
        self.path, self.prefix = path, prefix
        self.file = open(path, "a", buffering=1)

    def __call__(self, record):
        self.file.write(f"{self.prefix} {record.status} {record.target} {record.request_field('X-Shop')}\\n")

    def reopen(self):
        self.file.close()
        self.file = open(self.path, "a", buffering=1)

    def close(self):
        self.file.write("closed\\n")
        self.file.close()


def make(global_conf, path, prefix="ledger"):
    return Ledger(path, prefix + " of " + global_conf["__file__"].rpartition("/")[2])
'''


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """Install a distribution with an entry point into a folder, as pip would leave it."""
    site = tmp_path / "site"
    info = site / "shop_ledger-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "shop_ledger.py").write_text(PLUGIN, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-ledger\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[waitressd.request_log_factory]\nmain = shop_ledger:make\n", encoding="utf-8"
    )
    return site


def test_a_plugin_of_another_distribution(plugin: Path, ini: Callable[[str, str], list[str]], tmp_path: Path) -> None:
    sections = "[request_log:ledger]\nuse = egg:shop-ledger\npath = %(here)s/ledger.txt\nprefix = sold\nqueue = 100\n"
    environment = {"PYTHONPATH": f"{ROOT}{os.pathsep}{plugin}"}
    with server_process(ini("request_log = ledger", sections), command=PSERVE, environment=environment) as server:
        get(server, "/count", "X-Shop: books")
        assert lines_of(tmp_path / "ledger.txt", 1) == ["sold of a.ini 200 /count books"]
        (tmp_path / "ledger.txt").rename(tmp_path / "ledger.1")
        server.signal(signal.SIGHUP)
        lines_of(tmp_path / "ledger.txt", 0)
        wait_for(lambda: (tmp_path / "ledger.txt").exists())
        get(server, "/nothing")
        lines_of(tmp_path / "ledger.txt", 1)
        assert server.terminate() == 0
    assert lines_of(tmp_path / "ledger.txt", 2)[1] == "closed"


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_rotation_loses_no_line(number: signal.Signals, ini: Callable[[str, str], list[str]], tmp_path: Path) -> None:
    """Move the file away under load and ask for a new one, again and again: every line is in one of them, whole."""
    path = tmp_path / "access.log"
    sections = "[request_log:access]\nuse = common\npath = %(here)s/access.log\n"
    sent = 0
    with server_process(ini("request_log = access", sections), command=PSERVE) as server:
        wait_for(path.exists)
        with server.connect() as client:
            for turn in range(5):
                for _ in range(200):
                    client.get(f"/count?{sent}")
                    sent += 1
                    if sent % 200 == 100:
                        path.rename(tmp_path / f"access.log.{turn}")
                        server.signal(number)
                wait_for(path.exists)
        assert server.terminate() == 0
    lines = [line for file in tmp_path.glob("access.log*") for line in file.read_text("ascii").splitlines()]
    assert sorted(int(re.search(r"/count\?(\d+) HTTP/1.1\" 200 3893$", line)[1]) for line in lines) == list(range(sent))  # type: ignore[index] # a line that is not whole has no match, which is the failure


def test_logrotate_loses_no_line(ini: Callable[[str, str], list[str]], tmp_path: Path) -> None:
    logrotate = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if logrotate is None:
        pytest.skip("logrotate is not installed")
    path = tmp_path / "access.log"
    tmp_path.chmod(0o755)
    with server_process(
        ini("request_log = access", "[request_log:access]\nuse = combined\npath = %(here)s/access.log\n"),
        command=PSERVE,
    ) as server:
        text = (ROOT / "docs" / "operation" / "logrotate.conf").read_text(encoding="utf-8")
        service = "systemctl kill --kill-whom=main --signal=USR1 waitressd-shop.service"
        places = {"/var/log/shop/*.log": str(path), service: f"kill -USR1 {server.pid}"}
        (tmp_path / "rotate.conf").write_text(replace_places(text, places), encoding="utf-8")
        (tmp_path / "rotate.conf").chmod(0o644)
        sent = 0
        with server.connect() as client:
            for _ in range(3):
                for _ in range(50):
                    client.get(f"/?{sent}")
                    sent += 1
                wait_for(lambda: path.stat().st_size > 0)  # the rotation leaves an empty file alone
                command = [logrotate, "--force", "--state", str(tmp_path / "state"), str(tmp_path / "rotate.conf")]
                subprocess.run(command, check=True, timeout=30)
                wait_for(path.exists)
        assert server.terminate() == 0
    packed = [gzip.decompress(file.read_bytes()).decode("ascii") for file in tmp_path.glob("access.log*.gz")]
    assert packed  # the file of the rotation before the last one
    plain = [file.read_text("ascii") for file in tmp_path.glob("access.log*") if file.suffix != ".gz"]
    lines = [line for text in (*packed, *plain) for line in text.splitlines()]
    assert len(lines) == sent
    assert all(COMBINED.fullmatch(line) for line in lines)


NASTY: Final = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\xff\xfe\r\n\r\n",
    b'GET /a"b HTTP/1.1\r\nHost: x\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: \xe2\x80\xa8 \xff "quoted" \\ back\r\n\r\n',
    b"GET /?x=%0d%0a127.0.0.1 HTTP/1.1\r\nHost: x\r\nReferer: http://b/ \x1b[31m\r\n\r\n",
    b'GET /%0a%00 HTTP/1.1\r\nHost: x\r\nReferer: javascript:"><script>\r\n\r\n',
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody",
    b"DELETE / HTTP/1.0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://example.com/a?b HTTP/1.1\r\nHost: example.com\r\n\r\n",
    b"HEAD /count HTTP/1.1\r\nHost: x\r\n\r\n",
)


def provoke(server: ServerProcess) -> int:
    """Send every sort of request, and leave in the middle of one; return how many records that makes."""
    for data in NASTY:
        with server.connect() as client:
            client.send(data)
            client.receive(data.split(b" ")[0].decode("latin-1"))
    with server.connect() as client:
        client.send(b"GET /gone HTT")
        assert client.is_silent(0.05)
    return len(NASTY) + 1


def test_each_json_line_is_as_its_schema_says(ini: Callable[[str, str], list[str]], tmp_path: Path) -> None:
    schema = json.loads((ROOT / "docs" / "request-log.schema.json").read_text(encoding="utf-8"))
    sections = (
        "[request_log:lines]\nuse = json\npath = %(here)s/lines.json\n"
        "fields = request.x-forwarded-for response.content-type environ.REMOTE_PORT\n"
    )
    with server_process(ini("request_log = lines", sections), command=PSERVE) as server:
        get(server, "/error")
        count = provoke(server) + 1
        lines = lines_of(tmp_path / "lines.json", count)
        assert server.terminate() == 0
    assert len(lines) == count
    for line in lines:
        assert list(complaints(json.loads(line), schema)) == []
    assert any("waitressd.refused_line" in line for line in lines)


def test_goaccess_reads_our_combined_log(ini: Callable[[str, str], list[str]], tmp_path: Path) -> None:
    goaccess = shutil.which("goaccess")
    if goaccess is None:
        pytest.skip("goaccess is not installed")
    sections = "[request_log:access]\nuse = combined\npath = %(here)s/access.log\n"
    with server_process(ini("request_log = access", sections), command=PSERVE) as server:
        get(server, "/count", "User-Agent: Mozilla/5.0 (X11; Linux x86_64)", "Referer: http://a.example/x?y=z")
        # goaccess wants a method and a protocol in each line: requests that had none are not its business.
        for data in NASTY[3:]:
            with server.connect() as client:
                client.send(data)
                client.receive(data.split(b" ")[0].decode("latin-1"))
        lines = lines_of(tmp_path / "access.log", len(NASTY) - 2)
        assert server.terminate() == 0
    subprocess.run(
        [goaccess, str(tmp_path / "access.log"), "--log-format=COMBINED", "-o", str(tmp_path / "report.json"),
         f"--invalid-requests={tmp_path / 'invalid.txt'}", "--no-global-config"],
        check=True, timeout=50, capture_output=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (tmp_path / "invalid.txt").read_text(encoding="utf-8") == ""
    assert report["general"]["total_requests"] == len(lines)
    assert report["general"]["failed_requests"] == 0


def test_without_an_ini_file_requests_are_printed_as_they_are(tmp_path: Path) -> None:
    """On standard output, and nothing else is printed there."""
    output = tmp_path / "output"
    shell = ("sh", "-c", f'exec "$0" "$@" 3>&1 >"{output}" 2>&3', *WAITRESSD)
    arguments = ["--listen=127.0.0.1:0", "--request-log=combined", "tests.apps.plain:hello"]
    with server_process(arguments, command=shell) as server:
        with server.connect() as client:
            assert client.request(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        lines = lines_of(output, 1)
    assert len(lines) == 1
    assert COMBINED.fullmatch(lines[0])
