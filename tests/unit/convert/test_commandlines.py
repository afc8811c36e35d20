"""Command lines, where they stand, and what their words mean."""

import pytest

from waitressd.config.errors import ConfigError
from waitressd.convert.commandlines import command_in, convert, server_of, split_words


def lines(text: str) -> dict[str, list[str]]:
    sketch = convert("command line", split_words(text))
    return {name: [value.written for value in line.values] for name, line in sketch.lines.items()}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("worker: celery\nweb: gunicorn a:b\n", (2, "gunicorn a:b")),
        ("other: gunicorn a:a\nweb: env A=1 gunicorn a:b", (2, "env A=1 gunicorn a:b")),
        ("ExecStart=/usr/bin/waitress-serve \\\n  a:b\n", (1, "/usr/bin/waitress-serve a:b")),
        ('CMD ["uwsgi", "--ini", "a.ini"]', (1, "uwsgi --ini a.ini")),
        ("exec python -m gunicorn a:b", (1, "python -m gunicorn a:b")),
        ("python3 -m waitress a:b", (1, "python3 -m waitress a:b")),
        ('RUN pip install gunicorn\nCMD ["gunicorn", "a:b"]', (2, "gunicorn a:b")),
        ("WORKDIR /srv/uwsgi\nUSER gunicorn\n", None),
        ("pip install gunicorn && gunicorn a:b", (1, "gunicorn a:b")),
        (
            "mkdir -p /run/gunicorn\nnewrelic-admin run-program gunicorn a:b",
            (2, "newrelic-admin run-program gunicorn a:b"),
        ),
        ("tini gunicorn a:a\ngunicorn a:b", (2, "gunicorn a:b")),
        ('ENTRYPOINT ["gunicorn", "a:b"]\nCMD ["-w", "2"]', (1, "gunicorn a:b -w 2")),
        ('CMD ["sh", "-c", "cd /x && exec gunicorn -b :$PORT a:b"]', (1, "exec gunicorn -b ':$PORT' a:b")),
        ('ExecStart=/bin/sh -c "gunicorn -c x.py a:b"', (1, "gunicorn -c x.py a:b")),
        ("# gunicorn a:b\n", None),
        ("gunicorn 'a:b\n", None),
        ("serve a:b\\", None),
        ("", None),
    ],
)
def test_a_line_is_found(text: str, found: tuple[int, str] | None) -> None:
    assert command_in(text) == found


def test_whose_command_it_is() -> None:
    assert server_of(["A=1", "/bin/uwsgi", "x"]) == "uwsgi"
    assert server_of(["python", "-m", "waitress"]) == "waitress"
    assert server_of(["python", "waitress"]) == ""


def test_gunicorn() -> None:
    found = lines("gunicorn -w4 --bind=:80 -b :81 --threads 2 --no-sendfile -t=30 --preload a:b && echo --port")
    assert found["workers"] == ["4"]
    assert found["listen"] == ["*:80", "*:81"]
    assert found["threads"] == ["2"]
    assert found["preload"] == ["true"]


def test_variables_of_the_shell() -> None:
    found = lines("gunicorn -w ${W:-3} -b 0.0.0.0:$PORT --threads '${a b}' --backlog '${B:-${C}}' a:b")
    assert found["workers"] == ["${W:-3}"]
    assert found["listen"] == ["0.0.0.0:${PORT}"]
    assert "threads" not in found
    assert "backlog" not in found


def test_what_only_a_shell_knows_is_not_lost() -> None:
    sketch = convert("p:1", split_words('ddtrace-run gunicorn $OPTIONS a:b c:d "$@"'))
    assert sketch.application is not None
    assert sketch.application.written == "a:b"
    left = [item.source for _, item, _ in sketch.left]
    assert left == ["$OPTIONS", "c:d", "$@", "ddtrace-run"]
    sketch = convert("p:1", split_words("python3 -m gunicorn ${APP:-a:b}"))
    assert sketch.application is not None
    assert sketch.application.written == "${APP:-a:b}"
    assert not sketch.left


@pytest.mark.parametrize("text", ["gunicorn -c a.py a:b", "uwsgi a.ini", "uwsgi --ini a.ini --http :80"])
def test_defaults_are_not_claimed_where_another_file_may_say_otherwise(text: str) -> None:
    sketch = convert("command line", split_words(text))
    assert not sketch.lines.keys() & {"threads", "supervise", "trusted_proxy"}
    assert "may say otherwise" in sketch.remarks[0]
    assert sketch.left[0][2].startswith("convert that file too")


def test_uwsgi() -> None:
    found = lines("uwsgi -s /run/a.sock -p 4 -M --enable-threads --http=:80 -C 660 -w shop.wsgi")
    assert found["listen"] == ["unix:/run/a.sock", "*:80"]
    assert (found["workers"], found["supervise"], found["unix_socket_perms"]) == (["4"], ["true"], ["660"])
    sketch = convert("command line", ["uwsgi", "site.ini"])
    assert sketch.left[0][2] == "convert that file too"


def test_waitress() -> None:
    sketch = convert("command line", split_words("A=1 waitress-serve --listen=*:80 --no-ipv6 --call --app a:make"))
    assert sketch.lines["ipv6"].example == "false"
    assert sketch.lines["listen"].example == "*:80"
    assert sketch.is_factory
    assert sketch.application
    assert sketch.application.written == "a:make"
    assert [text.written for text in sketch.environment] == ["A=1"]
    assert convert("command line", ["waitress-serve", "--threads=3", "--", "a:b"]).lines["threads"].example == "3"


def test_a_line_of_none_of_them_is_read_for_the_one_that_is_named() -> None:
    assert convert("command line", ["--workers=3", "a:b"], "gunicorn").lines["workers"].example == "3"
    with pytest.raises(ConfigError, match="expected a command line of gunicorn"):
        convert("command line", ["hypercorn", "a:b"])
