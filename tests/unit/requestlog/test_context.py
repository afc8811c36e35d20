"""Log lines that say which request they belong to."""

import contextvars
import logging
import logging.config
import os
import threading
from collections.abc import Iterator

import pytest

from tests.support.origins import origin_of
from tests.support.samples import answered, refused
from waitressd.place import here
from waitressd.requestlog import RequestFilter, RequestFormatter, RequestRecord, current_request
from waitressd.requestlog.context import current


@pytest.fixture(autouse=True)
def no_request() -> Iterator[None]:
    yield
    current.set(None)


def line() -> logging.LogRecord:
    return logging.LogRecord("shop", logging.INFO, __file__, 1, "sold %s", ("out",), None)


def filtered() -> dict[str, object]:
    record = line()
    assert RequestFilter().filter(record)
    return vars(record)


def test_outside_of_a_request_there_are_dashes() -> None:
    found = filtered()
    assert (found["request_id"], found["client"], found["request"]) == ("-", "-", "-")
    assert current_request() is None


def test_inside_of_a_request_there_is_the_request() -> None:
    record = answered()
    current.set(record)
    found = filtered()
    assert found["request_id"] == record.request_id
    assert (found["client"], found["request"]) == ("127.0.0.1", "GET /a?b=c")
    assert current_request() is record


def test_each_line_has_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (filtered()["worker"], filtered()["pid"]) == (0, os.getpid())
    monkeypatch.setattr(here, "number", 2)
    assert RequestFormatter("%(worker)d %(pid)d %(message)s").format(line()) == f"2 {os.getpid()} sold out"
    current.set(answered())
    assert filtered()["worker"] == 2


def test_what_the_caller_gave_stays() -> None:
    current.set(answered())
    record = line()
    record.client = "somebody"
    RequestFilter().filter(record)
    assert vars(record)["client"] == "somebody"


def test_a_long_target_is_cut() -> None:
    current.set(answered(b"GET /" + b"a" * 500 + b" HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert str(filtered()["request"]).endswith("a...")
    assert len(str(filtered()["request"])) == 207


def test_a_request_without_a_head_is_named_too() -> None:
    """Its lines can be joined, and say whose it was."""
    record = RequestRecord(origin_of("[::2]:5"), 1, 1, None)
    current.set(record)
    assert filtered()["request"] == "-"
    assert filtered()["client"] == "::2"
    assert filtered()["request_id"] == filtered()["request_id"] == record.request_id != ""


def test_a_refused_line_forges_no_other() -> None:
    current.set(refused(b"GET /a\nFORGED\x1b[31m HTTP/1.1"))
    assert str(filtered()["request"]).isprintable()
    current.set(refused(b"X"))
    assert filtered()["client"] == "::1"


def test_a_formatter_may_name_them() -> None:
    formatter = RequestFormatter("%(request_id)s %(client)s %(request)s %(message)s")
    assert formatter.format(line()) == "- - - sold out"
    current.set(answered())
    assert formatter.format(line()).endswith("127.0.0.1 GET /a?b=c sold out")


def test_a_copied_context_keeps_its_request() -> None:
    current.set(answered())
    context = contextvars.copy_context()
    current.set(None)
    found: list[object] = []
    thread = threading.Thread(target=context.run, args=(lambda: found.append(filtered()["request"]),))
    thread.start()
    thread.join()
    assert found == ["GET /a?b=c"]


def test_dict_config_can_use_the_filter(capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig({
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request": {"()": "waitressd.requestlog.RequestFilter"}},
        "formatters": {"plain": {"format": "[%(request_id)s] %(message)s"}},
        "handlers": {"out": {"class": "logging.StreamHandler", "filters": ["request"], "formatter": "plain"}},
        "loggers": {"shop.test": {"handlers": ["out"], "level": "INFO", "propagate": False}},
    })  # fmt: skip
    logging.getLogger("shop.test").info("open")
    logging.getLogger("shop.test").handlers.clear()
    assert capsys.readouterr().err == "[-] open\n"
