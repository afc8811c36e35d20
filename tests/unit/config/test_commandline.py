"""The command line as values; wrong ones are in tests/functional/test_config_files.py."""

import pytest

from waitressd.config.commandline import is_reference, parse_command
from waitressd.config.errors import ConfigError


@pytest.mark.parametrize(
    ("arguments", "config", "app"),
    [
        (["a.ini"], "a.ini", ""),
        (["-c", "a.ini"], "a.ini", ""),
        (["--config=a.ini#web"], "a.ini#web", ""),
        (["a.ini?port=80"], "a.ini?port=80", ""),
        (["shop:app"], "", "shop:app"),
        (["--app", "shop:app"], "", "shop:app"),
        (["-c", "a.ini", "shop:app"], "a.ini", "shop:app"),
        (["shop:app", "a.ini"], "a.ini", "shop:app"),
        (["egg:shop"], "egg:shop", ""),
        (["pastedeploy+ini:a.txt"], "pastedeploy+ini:a.txt", ""),
        (["file+ini:///x/a.ini"], "file+ini:///x/a.ini", ""),
        ([], "", ""),
    ],
)
def test_targets(arguments: list[str], config: str, app: str) -> None:
    command = parse_command(arguments)
    assert (command.config, command.app) == (config, app)


def test_options_may_stand_anywhere() -> None:
    command = parse_command(["--threads=8", "a.ini", "http_port=80", "--listen=*:1", "-q", "x=a=b", "--listen", "*:2"])
    assert command.config == "a.ini"
    assert command.variables == {"http_port": "80", "x": "a=b"}
    assert {name: item.value for name, item in command.overrides.items()} == {"threads": "8", "listen": "*:1 *:2"}
    assert command.has("quiet")
    assert not command.has("check_config")


@pytest.mark.parametrize(
    ("arguments", "overrides"),
    [
        (["--expose-tracebacks"], {"expose_tracebacks": "true"}),
        (["--no-expose-tracebacks"], {"expose_tracebacks": "false"}),
        (["--expose-traceback"], {"expose_tracebacks": "true"}),
        (["--no-expose-traceback"], {"expose_tracebacks": "false"}),
        (["--script-name=/a"], {"url_prefix": "/a"}),
        (["--thread=3"], {"threads": "3"}),
        (["--asyncore-use-poll"], {"asyncore_use_poll": "true"}),
        (["--trusted-proxy", "::1", "--trusted-proxy=10.0.0.1"], {"trusted_proxy": "::1 10.0.0.1"}),
        (["--server-name=shop", "a:b"], {"server_name": "shop"}),
    ],
)
def test_settings_are_options(arguments: list[str], overrides: dict[str, str]) -> None:
    command = parse_command(arguments)
    assert {name: item.value for name, item in command.overrides.items()} == overrides


def test_beside_an_ini_file_server_name_is_the_section() -> None:
    command = parse_command(["--server-name=web", "-n", "shop", "a.ini"])
    assert command.overrides == {}
    assert command.text("server_name") == "web"
    assert command.text("app_name") == "shop"
    assert command.text("reload_interval", "1") == "1"


@pytest.mark.parametrize(
    ("arguments", "form"),
    [
        (["--print-config", "a.ini"], "text"),
        (["--print-config=json", "a.ini"], "json"),
        (["a.ini", "--print-config"], "text"),
    ],
)
def test_print_config_takes_its_form_after_an_equals_sign(arguments: list[str], form: str) -> None:
    command = parse_command(arguments)
    assert command.text("print_config") == form
    assert command.config == "a.ini"


@pytest.mark.parametrize("arguments", [["--sockets=3"], ["-x"], ["--no-threads"]])
def test_what_is_no_option_is_refused(arguments: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"command line: unknown option"):
        parse_command(arguments)


@pytest.mark.parametrize(
    ("word", "reference"),
    [
        ("shop:app", True),
        ("shop.wsgi:make_app()", True),
        ("a.ini", False),
        ("./a:b", False),
        ("egg:shop", False),
        ("pastedeploy+egg:shop", False),
        ("shop", False),
    ],
)
def test_a_reference_is_told_from_a_file(word: str, *, reference: bool) -> None:
    assert is_reference(word) is reference
