"""How a command sets logging up."""

from pathlib import Path

import pytest

from tests.support.scripts import lines_of, run_script
from waitressd.config.errors import ConfigError
from waitressd.logsetup import LogSetup

START = "import logging\nfrom waitressd.logsetup import LogSetup\n"
SAY = "\nlogging.getLogger('waitressd').info('told'); logging.getLogger('waitressd').debug('detail')"

INI = """
[app:main]
use = call:nothing:nothing

[loggers]
keys = root

[handlers]
keys = out

[formatters]
keys = plain

[logger_root]
level = INFO
handlers = out

[handler_out]
class = StreamHandler
args = (sys.%(stream)s,)
formatter = plain

[formatter_plain]
format = here: %(message)s
"""


def test_without_a_file_lines_go_to_standard_error_and_requests_to_standard_output() -> None:
    program = START + "LogSetup().apply()\nlogging.getLogger('waitressd.access').info('GET / 200')" + SAY
    ended = run_script(program)
    assert "[waitressd] told" in ended.stderr
    assert "detail" not in ended.stderr
    assert "GET" not in ended.stderr


def test_the_level_of_the_command_line_holds() -> None:
    assert "detail" in run_script(START + "LogSetup(level=logging.DEBUG).apply()" + SAY).stderr
    assert "told" not in run_script(START + "LogSetup(level=logging.ERROR).apply()" + SAY).stderr


def test_a_file_decides_with_its_variables(tmp_path: Path) -> None:
    path = tmp_path / "app.ini"
    path.write_text(INI, encoding="utf-8")
    program = START + "LogSetup(sys.argv[1], {'stream': 'stdout'}).apply()" + SAY
    assert lines_of(program, str(path)) == ["here: told"]


def test_a_file_that_is_wrong_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        LogSetup(str(tmp_path / "gone.ini")).apply()
