"""The log for development."""

import logging
import sys

import pytest

from tests.support.samples import answered, refused, unanswered
from waitressd.requestlog import OptionError, RequestRecord
from waitressd.requestlog.context import current
from waitressd.requestlog.dev import DevLog, dev, show_bytes, show_seconds


def failed(message: str = "broken") -> RequestRecord:
    record = answered(status="500 Internal Server Error", ended_by="error")
    try:
        raise RuntimeError(message)
    except RuntimeError as error:
        record.exception = error
    return record


def text_of(record: RequestRecord) -> str:
    return DevLog().format(record, colour=False)


def test_a_line_is_aligned_and_plain() -> None:
    assert text_of(answered())[8:] == " 200   1.88 s     13 B GET     /a?b=c waited 500.0 ms\n"
    quick = answered()
    quick.started_at, quick.ended_at = quick.complete_at, 100.0005
    assert text_of(quick)[8:] == " 200   500 us     13 B GET     /a?b=c\n"


def test_what_went_wrong_stands_behind() -> None:
    assert text_of(refused(b'a"\x1b'))[8:] == ' 400 500.0 ms     40 B -       a\\"\\x1b (The request is wrong.)\n'
    assert text_of(unanswered("client")).endswith("(the client left)\n")
    assert text_of(unanswered("stop")).endswith("(cut off by the stop)\n")
    assert text_of(refused(b""))[8:].startswith(" 400 500.0 ms     40 B -       - (")


def test_a_traceback_stands_below_its_line() -> None:
    lines = text_of(failed("bad \x1b[31m value")).splitlines()
    assert " 500 " in lines[0]
    assert lines[1] == "    Traceback (most recent call last):"
    assert lines[-1] == "    RuntimeError: bad \\x1b[31m value"


@pytest.mark.parametrize(("status", "colour"), [("200 OK", "32"), ("304 X", "36"), ("404 X", "33"), ("500 X", "31")])
def test_colours_go_by_the_status(status: str, colour: str) -> None:
    text = DevLog().format(answered(status=status), colour=True)
    assert f"\x1b[{colour}m{status[:3]}\x1b[0m" in text
    assert "\x1b[1m  1.88 s\x1b[0m" in text


class Terminal:
    """A standard error that is a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        """Nothing is kept back."""


def test_a_terminal_gets_colours_unless_it_wants_none(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.delenv("NO_COLOR", raising=False)
    dev({})(answered())
    assert "\x1b[" in terminal.text
    terminal.text = ""
    monkeypatch.setenv("NO_COLOR", "1")
    dev({})(answered())
    assert "\x1b[" not in terminal.text


@pytest.mark.parametrize(("option", "expected"), [("yes", True), ("no", False)])
def test_colour_can_be_asked_for(capsys: pytest.CaptureFixture[str], option: str, *, expected: bool) -> None:
    dev({}, colour=option)(answered())
    assert ("\x1b[" in capsys.readouterr().err) is expected


def test_a_wrong_option() -> None:
    with pytest.raises(OptionError):
        dev({}, color="yes")


def test_the_servers_line_leaves_out_the_traceback_that_follows(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("waitressd")
    record, dev_log = failed(), dev({})
    dev_log.start(None)
    current.set(record)
    log.error("Exception while serving", exc_info=record.exception)
    log.error("another one", exc_info=ValueError("other"))
    current.set(None)
    dev_log.close()
    log.error("Exception while serving", exc_info=record.exception)
    assert [bool(line.exc_info) for line in caplog.records] == [False, True, True]


def test_units() -> None:
    assert [show_seconds(value) for value in (0.0000123, 0.0123, 1.5)] == ["12 us", "12.3 ms", "1.50 s"]
    assert [show_bytes(value) for value in (0, 1023, 2048, 3 << 20, 5 << 30)] == [
        "0 B", "1023 B", "2.0 KiB", "3.0 MiB", "5.0 GiB",
    ]  # fmt: skip
