"""Sections found again for a factory, read for our own command, and both beside what PasteDeploy makes of the file."""

from pathlib import Path

import pytest
from paste.deploy.loadwsgi import SERVER, loadcontext

from waitressd.config.errors import ConfigError
from waitressd.config.inifile import ServerSection, from_factory, from_file, is_ours
from waitressd.config.origins import COMMAND_LINE
from waitressd.config.reading import Given

BASE = """\
[DEFAULT]
depth = 5
[server:web]
use = egg:waitressd#main
threads = 7
ident = %(here)s
url_prefix = /base
"""
OUTER = """\
[DEFAULT]
http_port = 8080
backlog = 7
[server:main]
use = egg:waitressd#main
listen =
    127.0.0.1:%(http_port)s
    [::1]:%(http_port)s
threads = 4
[server:second]
use = main
threads = 5
[server:third]
use = config:sub/base.ini#web
url_prefix = /outer
get port = http_port
[server:hidden]
use = egg:waitressd
backlog = 9
threads = 3
[server: spaced ]
use: egg:waitressd
set backlog = 11
threads: 6
[server:twin]
use = egg:waitressd#main
listen =
    127.0.0.1:%(http_port)s
    [::1]:%(http_port)s
threads = 44
[server:explicit]
paste.server_factory = waitressd.deploy:server_factory
threads = 2
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "base.ini").write_text(BASE, encoding="utf-8")
    (tmp_path / "outer.ini").write_text(OUTER, encoding="utf-8")
    return str(tmp_path / "outer.ini")


NAMES = ["main", "second", "third", "hidden", "spaced", "twin", "explicit"]


def values(section: ServerSection) -> dict[str, object]:
    return {name: item.value for name, item in section.given.items() if not name.startswith("paste.")}


def lines(section: ServerSection) -> dict[str, tuple[str, int, str]]:
    return {
        name: (Path(item.origin.path).name, item.origin.line, item.origin.section)
        for name, item in section.given.items()
        if not name.startswith("paste.")
    }


@pytest.mark.parametrize("variables", [{}, {"unused": "1"}], ids=["plain", "variable"])
@pytest.mark.parametrize("name", NAMES)
def test_our_reading_is_pastedeploy_s(path: str, name: str, variables: dict[str, str]) -> None:
    context = loadcontext(SERVER, f"config:{path}", name=name, global_conf=variables)
    ours = from_file(path, name, variables)
    assert values(ours) == context.local_conf
    again = from_factory(context.global_conf, context.local_conf)
    assert values(again) == context.local_conf
    assert lines(again) == lines(ours)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("main", {"listen": ("outer.ini", 6, "server:main"), "threads": ("outer.ini", 9, "server:main")}),
        ("second", {"listen": ("outer.ini", 6, "server:main"), "threads": ("outer.ini", 12, "server:second")}),
        (
            "third",
            {
                "threads": ("base.ini", 5, "server:web"),
                "ident": ("base.ini", 6, "server:web"),
                "url_prefix": ("outer.ini", 15, "server:third"),
                "port": ("outer.ini", 16, "server:third"),
            },
        ),
        ("spaced", {"threads": ("outer.ini", 24, "server: spaced ")}),
        ("twin", {"listen": ("outer.ini", 27, "server:twin"), "threads": ("outer.ini", 30, "server:twin")}),
    ],
)
def test_every_value_has_its_file_and_line(path: str, name: str, expected: dict[str, tuple[str, int, str]]) -> None:
    assert lines(from_file(path, name, {})) == expected


def test_a_key_that_a_global_hides_is_told(path: str) -> None:
    section = from_file(path, "hidden", {})
    assert [(item.name, item.value, item.hidden_by) for item in section.hidden] == [
        ("backlog", "9", f"{path}:3 [DEFAULT]")
    ]
    assert section.hidden[0].place == f"{path}:19 [server:hidden]"
    assert "backlog" not in section.given


def test_a_key_that_a_variable_hides_is_told(path: str) -> None:
    section = from_file(path, "hidden", {"threads": "9"})
    assert [(item.name, item.hidden_by) for item in section.hidden] == [
        ("backlog", f"{path}:3 [DEFAULT]"),
        ("threads", "the variable threads=9"),
    ]
    context = loadcontext(SERVER, f"config:{path}", name="hidden", global_conf={"threads": "9"})
    assert from_factory(context.global_conf, context.local_conf).hidden == section.hidden


def test_variables_win_over_defaults_in_our_reading_alone(path: str) -> None:
    assert values(from_file(path, "main", {"http_port": "9"}))["listen"] == "\n127.0.0.1:9\n[::1]:9"
    context = loadcontext(SERVER, f"config:{path}", name="main", global_conf={"http_port": "9"})
    assert context.local_conf["listen"] == "\n127.0.0.1:8080\n[::1]:8080"
    assert values(from_file(path, "third", {"http_port": "9"}))["port"] == "9"


def test_the_files_that_were_read_are_known(path: str) -> None:
    assert [Path(name).name for name in from_file(path, "third", {}).paths] == ["outer.ini", "base.ini"]


def test_a_factory_called_without_a_file_still_works() -> None:
    section = from_factory({}, {"threads": "8"})
    assert values(section) == {"threads": "8"}
    assert section.given["threads"].origin.place == ""
    assert section.check().threads == 8


def test_a_section_that_cannot_be_told_is_not_guessed(path: str) -> None:
    section = from_factory({"__file__": path}, {"threads": "4", "surprise": "1"})
    assert section.given["threads"].origin.place == path


def test_environment_variables_are_replaced_and_remembered(tmp_path: Path) -> None:
    path = tmp_path / "a.ini"
    path.write_text("[server:main]\nuse=egg:waitressd\nport=${PORT:-80}\nident=${NO}\n", encoding="utf-8")
    section = from_file(str(path), "main", {}, {"PORT": "81"})
    assert section.given["port"].value == "81"
    assert section.given["port"].origin.variables == ("PORT",)
    assert section.given["ident"].refusal
    with pytest.raises(ConfigError, match="the environment variable NO is not set"):
        section.check()


@pytest.mark.parametrize(
    ("keys", "listeners", "fast"),
    [
        ("fast-listen = localhost:6543", ["localhost:6543"], True),
        ("fast-listen = *:1 *:2", ["*:1", "*:2"], True),
        ("fast-listen = on\nlisten = *:1", ["*:1"], True),
        ("fast-listen = false\nlisten = *:1", ["*:1"], False),
    ],
)
def test_plone_s_word_for_listening_at_once(tmp_path: Path, keys: str, listeners: list[str], *, fast: bool) -> None:
    path = tmp_path / "a.ini"
    path.write_text(f"[server:main]\nuse = egg:waitressd\n{keys}\n", encoding="utf-8")
    section = from_file(str(path), "main", {})
    adjustments = section.check()
    assert [str(item) for item in adjustments.listeners] == listeners
    assert adjustments.fast_listen is fast
    assert adjustments.origin_of("fast_listen").line == 3
    assert str(section.check({"listen": Given("*:9", COMMAND_LINE)}).listeners[0]) == "*:9"


@pytest.mark.parametrize("keys", ["fast-listen = *:1\nlisten = *:1", "fast-listen = on\nfast_listen = on"])
def test_what_is_said_twice_is_an_error(tmp_path: Path, keys: str) -> None:
    path = tmp_path / "a.ini"
    path.write_text(f"[server:main]\nuse = egg:waitressd\n{keys}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="unknown setting fast-listen"):
        from_file(str(path), "main", {}).check()


LOGS = """\
[DEFAULT]
folder = /var/log
path = /default
[server:main]
use = egg:waitressd
request_log = access
[request_log:access]
use = combined
path = %(folder)s/${NAME}
[request_log:unused]
use = json
"""


@pytest.mark.parametrize("way", ["file", "factory"])
def test_request_logs_come_from_their_sections(tmp_path: Path, way: str) -> None:
    path = tmp_path / "a.ini"
    path.write_text(LOGS, encoding="utf-8")
    if way == "file":
        section = from_file(str(path), "main", {}, {"NAME": "shop"})
    else:
        context = loadcontext(SERVER, f"config:{path}")
        section = from_factory(context.global_conf, context.local_conf, {"NAME": "shop"})
    (log,) = section.check().request_log
    assert (log.name, log.use, dict(log.options)) == ("access", "combined", {"path": "/var/log/shop"})
    assert log.origin.line == 7
    assert section.logs["access"].origins["path"].line == 9


@pytest.mark.parametrize("way", ["file", "factory"])
def test_request_logs_of_a_file_that_is_used_are_known_too(tmp_path: Path, way: str) -> None:
    base, outer = tmp_path / "base.ini", tmp_path / "sub" / "outer.ini"
    outer.parent.mkdir()
    both = "[request_log:both]\nuse = combined\npath = %(here)s/both\n"
    base.write_text(f"{LOGS}{both}".replace("%(folder)s", "%(here)s"), encoding="utf-8")
    outer.write_text(f"[server:main]\nuse = config:../base.ini\nrequest_log = access both\n{both}", encoding="utf-8")
    if way == "file":
        section = from_file(str(outer), "main", {}, {"NAME": "shop"})
    else:
        context = loadcontext(SERVER, f"config:{outer}")
        section = from_factory(context.global_conf, context.local_conf, {"NAME": "shop"})
    access, both_log = section.check().request_log
    assert Path(access.options["path"]).resolve() == tmp_path / "shop"
    assert both_log.options["path"] == f"{outer.parent}/both"


@pytest.mark.parametrize(
    ("use", "hint"), [("egg:waitresd", True), ("call:waitresd:main", False), ("egg:gunicorn", False)]
)
def test_a_misspelt_server_is_recognised(tmp_path: Path, use: str, *, hint: bool) -> None:
    path = tmp_path / "a.ini"
    path.write_text(f"[server:main]\nuse = {use}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="this names another server") as caught:
        from_file(str(path), "main", {}).check()
    assert ("did you mean egg:waitressd?" in str(caught.value)) is hint


def test_options_of_the_command_line_win(path: str) -> None:
    section = from_file(path, "main", {})
    assert section.check({"threads": Given("9", COMMAND_LINE)}).threads == 9
    adjustments = section.check({"listen": Given("unix:/a", COMMAND_LINE)})
    assert [str(item) for item in adjustments.listeners] == ["unix:/a"]
    adjustments = section.check({"unix_socket": Given("/b", COMMAND_LINE)})
    assert [str(item) for item in adjustments.listeners] == ["unix:/b"]
    with pytest.raises(ConfigError, match=r"outer.ini:6 .* says listen = .*; write --listen=HOST:9"):
        section.check({"port": Given("9", COMMAND_LINE)})


def test_an_option_replaces_the_other_name_of_its_setting(tmp_path: Path) -> None:
    path = tmp_path / "a.ini"
    path.write_text("[server:main]\nuse=egg:waitressd\nscript_name=/a\n", encoding="utf-8")
    assert from_file(str(path), "main", {}).check({"url_prefix": Given("/b", COMMAND_LINE)}).url_prefix == "/b"


@pytest.mark.parametrize(
    ("use", "ours"),
    [
        ("egg:waitressd", True),
        ("egg:waitressd#main", True),
        ("egg:waitress#main", True),
        ("egg:Waitress", True),
        ("call:waitressd.deploy:server_factory", True),
        ("waitress:serve_paste", True),
        ("egg:waitressd#other", False),
        ("egg:gunicorn#main", False),
        ("call:shop:serve", False),
        ("waitresses:serve", False),
    ],
)
def test_which_servers_are_ours(use: str, *, ours: bool) -> None:
    assert is_ours(use) is ours


def test_a_file_that_went_away_after_the_loader_read_it_leaves_its_values(tmp_path: Path) -> None:
    section = from_factory({"__file__": str(tmp_path / "gone.ini")}, {"threads": "4", "request_log": "json"})
    assert section.check().threads == 4
    assert section.given["threads"].origin.line == 0
