"""The ini format of uWSGI: keys that repeat, placeholders, variables and conditions."""

import pytest

from waitressd.config.errors import ConfigError
from waitressd.convert import uwsgifile
from waitressd.convert.model import Sketch


def sketch(*lines: str) -> Sketch:
    return uwsgifile.convert(
        "site.ini", "\n".join(["[other]", "http = :1", "[uwsgi]", *lines, "[uwsgi:b]", "http = :2"])
    )


def written(*lines: str) -> dict[str, list[str]]:
    return {name: [text.written for text in line.values] for name, line in sketch(*lines).lines.items()}


def test_only_its_section_is_read_and_keys_repeat() -> None:
    assert written("http = :80", "; comment", "# http = :3", "http=:81")["listen"] == ["*:80", "*:81"]


def test_placeholders_and_variables() -> None:
    found = written("root = /srv", "dir = %(root)/shop", "socket = %(dir)/$(NAME).sock", "stats = %d/%n.sock")
    assert found["listen"] == ["unix:/srv/shop/${NAME}.sock"]
    assert found["admin_listen"] == ["unix:%(here)s//site.sock"]


def test_what_only_uwsgi_knows_is_left() -> None:
    left = sketch("http = @(/etc/address)", "pythonpath = %(nothing)", "logto = %t.log", "threads = %(nothing)").left
    assert {item.name: why.partition(",")[0] for _, item, why in left} == {
        "http": "what @(/etc/address) is",
        "pythonpath": "what %(nothing) is",
        "logto": "what %t is",
        "threads": "what %(nothing) is",
    }


def test_conditions_are_not_looked_at() -> None:
    found = sketch("if-env = A", "threads = 3", "endif =", "threads = 2", "for = a b", "http = :%(_)", "endfor")
    assert found.lines["threads"].example == "2"
    assert [item.name for _, item, _ in found.left] == ["http"]


def test_an_option_that_nobody_knows_is_named_unless_it_is_a_placeholder() -> None:
    assert [item.name for _, item, _ in sketch("site = shop", "procesess = 3", "env = A=%(site)").left] == ["procesess"]


def test_the_application() -> None:
    def application(*lines: str) -> tuple[str, list[str]]:
        found = sketch(*lines)
        assert found.application
        return found.application.written, [folder.written for folder in found.folders]

    assert application("module = shop.wsgi") == ("shop.wsgi:application", [])
    assert application("wsgi-file = shop/wsgi.py", "callable = app") == ("shop.wsgi:app", [])
    assert application("wsgi-file = $(ROOT)/wsgi.py") == ("wsgi:application", ["${ROOT}"])
    assert application("chdir = /srv", "pp = /lib", "wsgi = a:b", "callable = c") == ("a:b", ["/srv", "/lib"])
    assert application("wsgi-file = /srv/shop.wsgi") == ("shop:application", ["/srv"])
    assert application("mount = /x=/srv/a.py") == ("a:application", ["/srv"])
    assert sketch("wsgi-file = /srv/my-shop.py").application is None
    assert sketch("wsgi-file = $(FILE)").application is not None
    assert sketch("module = shop:make(1)").application is None
    assert sketch("module = shop:make()").is_factory


def test_a_file_without_the_section_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a.ini:1: there is no section \[uwsgi\]"):
        uwsgifile.convert("a.ini", "[other]\n")


def test_of_numbers_and_switches_that_repeat_the_last_one_counts() -> None:
    found = sketch("workers = 2", "workers = 4", "master = true", "master = false")
    assert found.lines["workers"].example == "4"
    assert found.lines["workers"].comments[0] == "site.ini:5: workers = 4"
