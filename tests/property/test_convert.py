"""Whatever a file of another server says, the result is taken by our own reader, or one sentence refuses the file."""

import tempfile
from pathlib import Path
from typing import Final

from hypothesis import example, given
from hypothesis import strategies as st

from waitressd.config.errors import ConfigError
from waitressd.config.inifile import from_file
from waitressd.convert import commandlines, gunicornfile, gunicorntable, inisections, uwsgifile, uwsgitable
from waitressd.convert.commandlines import PROGRAMS
from waitressd.convert.model import Sketch
from waitressd.convert.printing import ini_text

VALUES: Final = st.one_of(
    st.sampled_from(
        [
            "0",
            "1",
            "4",
            "true",
            "off",
            ":80",
            "*:80,:81",
            "[::1]",
            "unix:/a",
            "a:b",
            "a:b()",
            "/a.py",
            "=0",
            "localhost",
            "10.0.0.0/8",
            "A=b",
            "A=#b",
            "SCRIPT_NAME=/x",
            "a=b:c",
            "50%",
            "${A}",
            "$A",
            "%(a)s",
            ";x",
            "#x",
            ":443,/c,/k,HIGH,!/ca",
            "file:/a",
            "-",
            "auto",
            "sync",
            "CERT_REQUIRED",
            "egg:waitress",
        ]
    ),
    st.sampled_from(["", "1 # one", "/a b", "a:80 b:81", "; x"]),
    st.text("a0:/=%${}()#;,.- \t\"'\\\n[]@\u00e9\x07", max_size=12),
    st.text(max_size=8),
)
ENVIRON: Final = {"A": "1"}


def is_taken(sketch: Sketch) -> None:
    """Write a result, read it, and check it."""
    sketch.settle()
    text = ini_text(sketch)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.ini"
        path.write_text(text, encoding="utf-8")
        from_file(str(path), "main", {}, ENVIRON).check()


GUNICORN: Final = st.sampled_from([name for row in gunicorntable.ROWS for name in row.names if "*" not in name])
PYTHON: Final = st.one_of(
    VALUES.map(repr),
    st.lists(VALUES, max_size=3).map(repr),
    st.integers(-1, 1 << 20).map(str),
    st.booleans().map(str),
    st.sampled_from(
        ["os.environ['A']", "os.environ.get('A', '80')", "':' + os.environ['A']", "cpu_count() * 2", "open(a)"]
    ),
)


@given(st.lists(st.tuples(GUNICORN, PYTHON), max_size=5))
@example([("certfile", "'/c'"), ("ca_certs", "'/ca'"), ("cert_reqs", "2"), ("proxy_protocol", "True")])
@example([("bind", "'a\\nthreads = 3'"), ("accesslog", "'%(a)s $x # y'"), ("chdir", "'#a'")])
@example([("wsgi_app", "'a:b'"), ("chdir", "'#a'"), ("pythonpath", "'/x,;y'"), ("raw_env", "['A=;', 'B= c']")])
def test_gunicorn(settings: list[tuple[str, str]]) -> None:
    is_taken(gunicornfile.convert("g.py", "".join(f"{name} = {value}\n" for name, value in settings)))


@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    for convert in (gunicornfile.convert, uwsgifile.convert):
        try:
            is_taken(convert("a", text))
        except ConfigError as error:
            assert str(error).startswith("a:")  # noqa: PT017 - a result may also be taken
    commandlines.command_in(text)


UWSGI: Final = st.sampled_from([name for row in uwsgitable.ROWS for name in row.names if "*" not in name])


@given(st.lists(st.tuples(UWSGI, VALUES), max_size=5))
@example([("https", ":443,/c,/k"), ("http-to-https", ":443")])
@example([("module", "a"), ("callable", "b\x0bc"), ("env", "A=b\x85c")])
def test_uwsgi(options: list[tuple[str, str]]) -> None:
    lines = [f"{name} = {value}" for name, value in options]
    is_taken(uwsgifile.convert("u.ini", "\n".join(["[uwsgi]", *lines])))


@given(
    st.lists(st.tuples(st.sampled_from(["threads", "listen", "ident", "trusted_proxy", "unix_socket", "x"]), VALUES))
)
def test_sections(options: list[tuple[str, str]]) -> None:
    lines = {name: value.replace("\n", "\n  ").replace("\r", " ") for name, value in options}
    text = "\n".join(["[server:main]", "use = egg:waitress", *(f"{name} = {value}" for name, value in lines.items())])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.ini"
        path.write_text(text, encoding="utf-8")
        try:
            sketch = inisections.convert(str(path))
        except ConfigError:
            return
    is_taken(sketch)


WORDS: Final = st.one_of(
    VALUES, st.sampled_from(["-w", "-b", "--threads", "--listen", "--call", "--http", "-M", "--no-ipv6", "--", "--env"])
)


@given(st.sampled_from(sorted(PROGRAMS)), st.lists(WORDS, max_size=6))
def test_command_lines(program: str, words: list[str]) -> None:
    try:
        sketch = commandlines.convert("command line", [program, *words])
    except ConfigError as error:
        assert str(error).startswith("command line: ")  # noqa: PT017 - a result may also be taken
        return
    is_taken(sketch)
