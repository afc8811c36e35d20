"""JSON lines: OpenTelemetry's names, pure ASCII, as the schema says."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.jsonschema import complaints
from tests.support.samples import TLS, answered, encrypted, refused, unanswered
from waitressd.place import here
from waitressd.requestlog import OptionError, RequestRecord
from waitressd.requestlog.jsonlines import describe, encode, json_lines

SCHEMA = json.loads(
    (Path(__file__).parent.parent.parent.parent / "docs" / "request-log.schema.json").read_text(encoding="utf-8")
)


def failed() -> RequestRecord:
    record = answered(status="500 Internal Server Error", ended_by="error", environ={"REMOTE_USER": "ann"})
    record.exception = ZeroDivisionError("division by zero")
    return record


def test_an_answered_request() -> None:
    assert describe(answered()) == {
        "timestamp": "2023-11-14T22:13:20.250000Z",
        "client.address": "127.0.0.1",
        "network.peer.address": "127.0.0.1",
        "network.peer.port": 5555,
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "server.address": "shop.example",
        "http.request.method": "GET",
        "http.request.body.size": 0,
        "http.request.header.referer": ["http://r.example/"],
        "http.response.status_code": 200,
        "http.response.body.size": 13,
        "url.scheme": "http",
        "url.path": "/a",
        "url.query": "b=c",
        "user_agent.original": "test/1.0",
        "process.pid": os.getpid(),
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "waitressd.listener": "127.0.0.1:80",
        "waitressd.connection": 7,
        "waitressd.request_number": 2,
        "waitressd.request_id": "0af7651916cd43dd8448eb211c80319c",
        "waitressd.duration": 1.875,
        "waitressd.receive_time": 0.125,
        "waitressd.queue_time": 0.5,
        "waitressd.application_time": 1.0,
        "waitressd.first_byte_time": 1.0,
        "waitressd.flush_time": 0.25,
    }


def test_a_request_by_tls() -> None:
    found = describe(encrypted())
    assert {key: value for key, value in found.items() if "tls" in key} == {
        "tls.protocol.name": "tls",
        "tls.protocol.version": "1.3",
        "tls.cipher": "TLS_AES_128_GCM_SHA256",
        "tls.resumed": True,
        "tls.client.server_name": "shop.example",
        "tls.client.subject": "CN=Alice",
        "tls.client.issuer": "CN=A CA",
        "waitressd.tls.client.serial": "0A1B",
    }
    assert list(complaints(found, SCHEMA)) == []
    anonymous = describe(encrypted(replace(TLS, sni="", client=None)))
    assert {key for key in anonymous if "client" in key and "tls" in key} == set()
    assert list(complaints(anonymous, SCHEMA)) == []


def test_a_refused_request() -> None:
    found = describe(refused(b"\xff\n"))
    assert found["waitressd.refused_line"] == "\xff\n"
    assert (found["error.type"], found["waitressd.ended_by"]) == ("400", "refused")
    assert found["waitressd.detail"] == "The request is wrong."
    assert "http.request.method" not in found
    assert "url.path" not in found
    assert "waitressd.refused_line" not in describe(refused(b""))


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("GET / HTTP/1.1", "1.1"),
        ("GET / HTTP/2", "2"),
        ("GET / HTTP/abc", None),
        ("GET / HTTP/", None),
        ("GET / HTTP/1.1.1", None),
        ("GET / HTTP/\xb2.\xb2", None),
    ],
)
def test_a_version_that_is_none_is_left_out(line: str, version: str | None) -> None:
    found = describe(refused(line.encode("latin-1")))
    assert found["http.request.method"] == "GET"
    assert found.get("network.protocol.version") == version
    assert found.get("waitressd.refused_line") == (line if version is None else None)


@pytest.mark.parametrize(
    ("port", "number"), [("0", 0), ("080", 80), ("99999", 99999), ("100000", None), ("0" * 5000 + "80", None)]
)
def test_a_port_is_a_number_that_a_port_may_have(port: str, number: int | None) -> None:
    """Host has the syntax of one, and may still say a number that nobody can read."""
    record = answered(f"GET / HTTP/1.1\r\nHost: h:{port}\r\n\r\n".encode())
    assert describe(record).get("server.port") == number


def test_what_a_line_says_anyway_is_not_said_twice() -> None:
    log = json_lines({}, fields="ended_by detail duration", logger="l")
    assert json.loads(log._format(answered())) == describe(answered())


@pytest.mark.parametrize("ended_by", ["client", "deadline", "stop", "error"])
def test_a_request_without_an_answer(ended_by: str) -> None:
    found = describe(unanswered(ended_by))
    assert "http.response.status_code" not in found
    assert found["error.type"] == found["waitressd.ended_by"] == ended_by


def test_a_failed_request() -> None:
    found = describe(failed())
    assert (found["error.type"], found["exception.message"]) == ("ZeroDivisionError", "division by zero")
    assert found["user.name"] == "ann"


@pytest.mark.parametrize(
    "record",
    [answered(), refused(b"X"), refused(b"GET / HTTP/1.1", 413), unanswered("client"), failed()],
    ids=["answered", "refused", "parsed", "unanswered", "failed"],
)
def test_each_is_as_the_schema_says(record: RequestRecord) -> None:
    assert list(complaints(json.loads(encode(describe(record))), SCHEMA)) == []


def test_a_worker_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "number", 3)
    found = describe(answered())
    assert found["waitressd.worker"] == 3
    assert list(complaints(found, SCHEMA)) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"surprise": 1}, "surprise is not expected"),
        ({"http.response.status_code": "200"}, "http.response.status_code: '200' is not as type"),
        ({"waitressd.ended_by": "magic"}, "waitressd.ended_by: 'magic' is not as enum"),
        ({"http.request.header.x": "a"}, "http.request.header.x: 'a' is not as type"),
        ({"trace_id": None}, "trace_id is missing"),
    ],
)
def test_the_schema_refuses_what_is_wrong(change: dict[str, Any], complaint: str) -> None:
    value = {key: item for key, item in {**describe(answered()), **change}.items() if item is not None}
    assert any(text.startswith(complaint) for text in complaints(value, SCHEMA))


def test_additional_fields() -> None:
    log = json_lines({}, fields="request.Host response.x-a response.none environ.wsgi.url_scheme number", logger="l")
    found = json.loads(log._format(answered()))
    assert found["http.request.header.host"] == ["shop.example"]
    assert found["http.response.header.x-a"] == ["1"]
    assert found["waitressd.environ.wsgi.url_scheme"] == "http"
    assert found["waitressd.number"] == 2
    assert "http.response.header.none" not in found


def test_a_wrong_option() -> None:
    with pytest.raises(OptionError) as caught:
        json_lines({}, fields="nope", paht="x")
    assert [name for name, _ in caught.value.problems] == ["fields", "paht"]


def test_a_line_is_ascii_and_has_no_end_in_it() -> None:
    line = encode({"a": "\r\n\x00\u2028\ud800\xff", "b": "\U0001f600"})
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["b"] == "\U0001f600"


def test_an_absolute_target_has_a_path_and_a_host_has_a_port() -> None:
    found = describe(answered(b"GET http://abs.example:99/p/q?r HTTP/1.1\r\nHost: abs.example:99\r\n\r\n"))
    assert (found["url.path"], found["url.query"]) == ("/p/q", "r")
    assert (found["server.address"], found["server.port"]) == ("abs.example", 99)
    found = describe(answered(b"GET http://abs.example HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"))
    assert found["url.path"] == "/"


def test_the_text_of_an_exception_can_be_read_by_strict_readers() -> None:
    record = answered()
    record.exception = ValueError("caf\udce9")
    record.ended_by = "error"
    assert describe(record)["exception.message"].encode("utf-8") == b"caf\\udce9"
