"""Request logs of a configuration: each problem at its line, and request loggers for listeners."""

from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.origins import origin_of
from tests.support.recording import RecordingTransport
from tests.support.samples import HEAD, request_of
from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError
from waitressd.config.origins import Origin, Source
from waitressd.config.reading import Given
from waitressd.config.requestlogs import LogSection
from waitressd.observing import build_handler, build_logger, build_request_logs
from waitressd.wsgi.environ import EnvironSettings
from waitressd.wsgi.proxies import TrustedProxies
from waitressd.wsgi.task import TaskSettings

if TYPE_CHECKING:
    from waitressd.requestlog import RequestRecord


def adjusted(names: str, **options: str) -> Adjustments:
    origins = {
        name: Origin(Source.FILE, "a.ini", line, "request_log:access") for line, name in enumerate(("", *options), 11)
    }
    given = {"request_log": Given(names, Origin(Source.FILE, "a.ini", 3, "server:main"))}
    sections = {"access": LogSection("access", options, origins)} if options else {}
    return Adjustments.from_given(given, sections)


def complaint(adjustments: Adjustments) -> str:
    with pytest.raises(ConfigError) as caught:
        build_request_logs(adjustments, {})
    return str(caught.value)


def test_without_logs_there_is_nothing() -> None:
    assert build_request_logs(Adjustments.from_keywords(), {}) is None
    assert build_logger(None, EnvironSettings()) is None


def test_logs_have_the_names_of_their_sections() -> None:
    logs = build_request_logs(adjusted("access, json", use="combined", path="/a"), {})
    assert logs is not None
    assert [hook.name for hook in logs.hooks] == ["access", "json"]


def test_a_problem_stands_at_the_line_of_its_option() -> None:
    text = complaint(adjusted("access", use="combined", mode="888"))
    assert text == "a.ini:13 [request_log:access]: mode = 888: expected an octal file mode, 000 to 777"


def test_a_problem_with_the_factory_stands_at_use() -> None:
    text = complaint(adjusted("access", use="no.module:x"))
    assert text.startswith("a.ini:12 [request_log:access]: use = no.module:x: cannot import no.module")


def test_a_problem_of_the_whole_stands_at_the_section() -> None:
    text = complaint(adjusted("access", use="waitressd.observing:build_logger"))
    assert text.startswith("a.ini:11 [request_log:access]: the factory failed: TypeError")


def test_without_a_section_the_setting_is_named() -> None:
    text = complaint(adjusted("no.module:x"))
    assert text.startswith("a.ini:3 [server:main]: request_log = no.module:x: cannot import no.module")


def test_from_python_there_is_no_place() -> None:
    text = complaint(Adjustments.from_keywords(request_log="no.module:x"))
    assert text.startswith("request_log = no.module:x: cannot import")


def test_only_with_a_log_the_application_gets_the_names_of_its_request() -> None:
    environs: list[dict[str, Any]] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environs.append(environ)
        start_response("200 OK", [])
        return [b"hello"]

    settings = EnvironSettings()
    logs = build_request_logs(Adjustments.from_keywords(request_log="common"), {})
    for logger in (None, build_logger(logs, settings)):
        handler = build_handler(application, settings, TaskSettings(), logger)
        transport = RecordingTransport()
        request, body = transport.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        context = copy_context()
        if logger is not None:
            context.run(logger.enter, logger.open(transport.origin, 1, 1, request))
        context.run(handler, request, body, transport)
        assert transport.answer().body == b"hello"
    assert ["waitressd.request_id" in environ for environ in environs] == [False, True]


@pytest.mark.parametrize(
    ("sent", "client"), [("203.0.113.9", "203.0.113.9"), ("<nonsense>", "10.0.0.1"), ("", "10.0.0.1")]
)
def test_the_client_of_a_refused_request_is_found_as_for_the_application(sent: str, client: str) -> None:
    proxies = TrustedProxies(everyone=True, headers=frozenset({"x-forwarded-for"}))
    records: list[RequestRecord] = []
    logs = build_request_logs(Adjustments.from_keywords(request_log=records.append), {})
    logger = build_logger(logs, EnvironSettings(proxies=proxies))
    assert logger is not None
    field = f"X-Forwarded-For: {sent}\r\n" if sent else ""
    request = request_of(HEAD.replace(b"\r\n\r\n", f"\r\n{field}\r\n".encode()))
    logger.finish(logger.open(origin_of("10.0.0.1:5555"), 1, 1, request))
    assert records[0].client == client
