"""Lines of text: the common formats and templates."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.samples import TLS, answered, encrypted, refused, unanswered
from waitressd.place import here
from waitressd.requestlog import OptionError, RequestRecord, formats
from waitressd.requestlog.filesink import FileSink
from waitressd.requestlog.formats import FIELDS, LineLog, compile_template, format_combined, format_common
from waitressd.requestlog.sinks import LoggerSink
from waitressd.requestlog.times import clf_time

TIME = clf_time(1_700_000_000)


def test_common() -> None:
    assert format_common(answered()) == f'127.0.0.1 - - [{TIME}] "GET /a?b=c HTTP/1.1" 200 13'


def test_combined() -> None:
    assert format_combined(answered()) == (
        f'127.0.0.1 - - [{TIME}] "GET /a?b=c HTTP/1.1" 200 13 "http://r.example/" "test/1.0"'
    )


def test_missing_fields_are_dashes() -> None:
    bare = answered(b"GET / HTTP/1.0\r\nReferer:\r\n\r\n")
    assert format_combined(bare) == f'127.0.0.1 - - [{TIME}] "GET / HTTP/1.0" 200 13 "-" "-"'


def test_a_refused_head_is_shown_as_it_came() -> None:
    assert format_combined(refused(b'\x16\x03"x')) == f'::1 - - [{TIME}] "\\x16\\x03\\"x" 400 40 "-" "-"'
    assert format_common(refused(b"")) == f'::1 - - [{TIME}] "-" 400 40'


@pytest.mark.parametrize(("ended_by", "status"), [("client", 499), ("deadline", 408), ("stop", 503), ("error", 500)])
def test_without_an_answer_there_is_the_status_that_readers_expect(ended_by: str, status: int) -> None:
    assert format_common(unanswered(ended_by)) == f'127.0.0.1 - - [{TIME}] "GET /a?b=c HTTP/1.1" {status} 0'


def test_a_user_stands_in_its_place() -> None:
    assert format_common(answered(environ={"REMOTE_USER": "ann b"})).startswith("127.0.0.1 - ann\\x20b [")
    assert format_common(answered(environ={"REMOTE_USER": ""})).startswith("127.0.0.1 - - [")


def test_a_template() -> None:
    formatter = compile_template(
        '{client} "{method} {path}" {query} {status:>5} {duration:.1f} {application_time} {request.user-agent} '
        "{response.x-a} {environ.wsgi.url_scheme} {environ.NONE} {request.none} {{}}"
    )
    assert formatter(answered()) == '127.0.0.1 "GET /a" b=c   200 1.9 1.000000 test/1.0 1 http - - {}'


def test_a_template_of_a_refused_request() -> None:
    formatter = compile_template("{request_line} {method} {queue_time:.3f} {detail} {environ.A} {user} {ended_by}")
    assert formatter(refused(b"a\nb")) == "a\\x0ab - - The request is wrong. - - refused"


def test_what_is_known_of_tls() -> None:
    names = ("version", "cipher", "sni", "resumed", "client_subject", "client_serial")
    shown = compile_template(" ".join(f"{{tls.{name}}}" for name in names))
    assert shown(encrypted()) == "TLSv1.3 TLS_AES_128_GCM_SHA256 shop.example resumed CN=Alice 0A1B"
    assert shown(encrypted(replace(TLS, client=None, sni="", is_resumed=False))).endswith(" - full - -")
    assert shown(answered()) == "- - - - - -"


def test_every_field_can_be_shown() -> None:
    formatter = compile_template(" ".join(f"{{{name}}}" for name in FIELDS))
    for record in (answered(), refused(b"X"), unanswered("client")):
        assert "None" not in formatter(record)


def test_a_line_may_name_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    formatter = compile_template("{worker} {worker:02d} {pid}")
    assert formatter(answered()) == f"0 00 {os.getpid()}"
    monkeypatch.setattr(here, "number", 3)
    assert formatter(answered()) == f"3 03 {os.getpid()}"


def test_what_the_operator_wrote_is_one_line() -> None:
    assert compile_template("\n{method}\n  a\tb")(answered()) == "GET   a b"


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{clinet}", "unknown field {clinet}; did you mean client?"),
        ("{}", "unknown field {}"),
        ("{request.}", "unknown field {request.}"),
        ("{nothing.x}", "unknown field {nothing.x}"),
        ("{client:>9}", "only numbers take a format"),
        ("{duration:x}", "not a format of a number"),
        ("{status!r}", "conversions are not known here"),
        ("{status", "expected '}' before end of string"),
    ],
)
def test_a_wrong_template(template: str, complaint: str) -> None:
    with pytest.raises(OptionError) as caught:
        formats.template({}, format=template)
    assert caught.value.problems[0][0] == "format"
    assert complaint in caught.value.problems[0][1]


def test_a_template_log_needs_a_template() -> None:
    with pytest.raises(OptionError, match="expected a template"):
        formats.template({})


def test_the_factories_take_options_of_the_sink() -> None:
    for factory in (formats.common, formats.combined):
        assert isinstance(factory({}, logger="a"), LineLog)
        with pytest.raises(OptionError, match="unknown option"):
            factory({}, colour="red")
    assert isinstance(formats.template({}, format="{method}", path="/x"), LineLog)


def test_a_log_hands_everything_to_its_sink(tmp_path: Path) -> None:
    log = LineLog(lambda record: record.method, FileSink(str(tmp_path / "a.log")))
    log.start(None)
    log(answered())
    (tmp_path / "a.log").rename(tmp_path / "b.log")
    log.reopen()
    log.close()
    texts = [(tmp_path / name).read_text(encoding="ascii") for name in ("a.log", "b.log")]
    assert sorted(texts) == ["", "GET\n"]  # the writer may have come before the new file, or after it


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_a_line_that_goes_nowhere_is_not_made(level: int, caplog: pytest.LogCaptureFixture) -> None:
    made: list[str] = []

    def format_method(record: RequestRecord) -> str:
        made.append(record.method)
        return record.method

    with caplog.at_level(level, "tests.access"):
        LineLog(format_method, LoggerSink("tests.access"))(answered())
    assert made == [record.getMessage() for record in caplog.records] == ["GET"] * (level == logging.INFO)
