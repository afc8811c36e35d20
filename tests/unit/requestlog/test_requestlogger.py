"""Between the server and the logs: names of requests, who gets a record, the life of all logs."""

import logging
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from tests.support.origins import origin_of
from tests.support.records import Records
from tests.support.samples import HEAD, answered, request_of
from waitressd.http.errors import ClientDisconnected, HttpError
from waitressd.requestlog import RequestRecord, current_request
from waitressd.requestlog.context import RequestFilter, current
from waitressd.requestlog.hook import Hook, IsolatedHook
from waitressd.requestlog.requestlogger import OWN_LOGGERS, Environ, Identify, RequestLogger, RequestLogs

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def no_request() -> Iterator[None]:
    yield
    current.set(None)


def built(**hooks: Hook) -> RequestLogs:
    return RequestLogs([IsolatedHook(name, hook) for name, hook in hooks.items()])


def logger(*hooks: Hook, trusted: bool = False, identify: Identify = lambda _request, _origin: None) -> RequestLogger:
    logs = RequestLogs([IsolatedHook(f"log {number}", hook) for number, hook in enumerate(hooks)])
    return RequestLogger(logs, lambda _address: trusted, identify)


def seen(one: RequestLogger, **environ: str) -> tuple[Environ, RequestRecord]:
    """Run a request through a watched application."""
    found: list[Environ] = []

    def application(environ: Environ, _start_response: object) -> list[bytes]:
        found.append(environ)
        return [b"x"]

    record = one.open(origin_of(), one.connect(), 1, request_of(HEAD))
    one.enter(record)
    assert one.watch(application)({"REMOTE_ADDR": "203.0.113.9", **environ}, print) == [b"x"]
    return found[0], record


def test_an_environ_gets_names_and_gives_the_client() -> None:
    environ, record = seen(logger())
    assert environ["waitressd.request_id"] == record.request_id
    assert environ["waitressd.traceparent"] == record.traceparent
    assert record.trace_id == record.request_id
    assert (record.client, record.environ) == ("203.0.113.9", environ)
    assert current_request() is record


def test_connections_are_numbered() -> None:
    one = logger()
    assert [one.connect(), one.connect()] == [1, 2]


def test_without_a_record_the_application_is_called_as_it_is() -> None:
    environ: Environ = {}
    assert logger().watch(lambda environ, _: [environ])(environ, print) == [{}]


@pytest.mark.parametrize("trusted", [True, False])
def test_the_id_of_a_trusted_peer_is_taken(*, trusted: bool) -> None:
    environ, record = seen(logger(trusted=trusted), HTTP_X_REQUEST_ID="theirs")
    assert (record.request_id == "theirs") is trusted
    assert environ["HTTP_X_REQUEST_ID"] == environ["waitressd.request_id"] == record.request_id


def test_an_id_that_could_forge_is_not_taken() -> None:
    assert seen(logger(trusted=True), HTTP_X_REQUEST_ID='a" b')[1].request_id != 'a" b'


def test_a_trace_context_is_taken_from_anybody_if_it_is_one() -> None:
    assert seen(logger(), HTTP_TRACEPARENT=TRACE)[1].traceparent == TRACE
    environ, record = seen(logger(), HTTP_TRACEPARENT="nonsense")
    assert record.traceparent != "nonsense"
    assert environ["HTTP_TRACEPARENT"] == "nonsense"  # ours does not stand in for it: whether to sample is not our word


def test_what_ended_an_answer() -> None:
    one = logger()
    one.fail(ValueError())  # outside of a request
    for error, ended_by in ((ClientDisconnected(), "client"), (ValueError(), "error"), (HttpError(400, "x"), "error")):
        record = answered()
        record.ended_at = 0.0
        one.enter(record)
        one.fail(error)
        assert record.ended_by == ended_by
        assert record.exception is (error if ended_by == "error" else None)


def test_an_environ_that_was_refused() -> None:
    one, error = logger(), HttpError(400, "No.")
    record = answered()
    record.environ = None
    record.ended_at = 0.0
    one.enter(record)
    one.fail(error)
    assert (record.ended_by, record.refusal, record.exception) == ("refused", error, None)


def test_a_record_that_was_handed_over_does_not_change() -> None:
    one, record = logger(), answered()
    one.enter(record)
    one.fail(ValueError())
    one.fail(HttpError(400, "x"))
    assert (record.ended_by, record.refusal, record.exception) == ("", None, None)


def test_a_refused_request_is_named_and_its_client_found() -> None:
    records = Records()
    one = logger(
        records,
        trusted=True,
        identify=lambda _, origin: {"REMOTE_ADDR": origin.peer.address[:3], "HTTP_X_REQUEST_ID": "r"},
    )
    one.finish(one.open(origin_of(), 1, 1, request_of(HEAD)))
    one.finish(one.open(origin_of(), 1, 2, None))
    first, second = records.all
    assert (first.client, first.request_id, first.environ) == ("127", "r", None)
    assert second.client == "127.0.0.1"
    assert len(second.request_id) == 32


def test_a_client_that_cannot_be_found_is_the_peer() -> None:
    records = Records()
    one = logger(records)
    one.finish(one.open(origin_of("[::1]:5555"), 1, 1, request_of(HEAD)))
    assert records.all[0].client == "::1"


def test_every_hook_gets_the_record_whatever_the_others_do(caplog: pytest.LogCaptureFixture) -> None:
    records = Records()

    def broken(_record: RequestRecord) -> None:
        raise SystemExit("the plugin's idea")

    one = logger(broken, records, broken)
    record = answered()
    for _ in range(3):
        one.finish(record)
    assert records.all == [record] * 3
    assert [line.getMessage().split(";")[0] for line in caplog.records] == [
        "The request log log 0 failed", "The request log log 2 failed",
    ]  # fmt: skip


def test_late_records_come_in_a_thread_of_their_own_and_before_the_close() -> None:
    records = Records()
    logs = built(late=records)
    one = RequestLogger(logs, lambda _: False, lambda _request, _origin: None)
    logs.start(None)
    one.finish_soon(answered())
    logs.close()
    assert records.threads == ["request-log-late"]
    assert records.closed == 1


class Life(Records):
    """A hook whose every step can fail."""

    def __init__(self, fails: str = "") -> None:
        super().__init__()
        self.fails = fails
        self.steps: list[str] = []

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name == self.fails:
            raise OSError(f"cannot {name}")

    def start(self, server: object) -> None:
        """Start."""
        self._step(f"start {server}")

    def reopen(self) -> None:
        """Reopen."""
        self._step("reopen")

    def close(self) -> None:
        """Close."""
        self._step("close")


def test_hooks_are_started_reopened_and_closed_once() -> None:
    hook = Life()
    logs = built(a=hook, b=lambda _record: None)
    logs.close()
    logs.start("s")
    logs.reopen()
    logs.close()
    logs.close()
    assert hook.steps == ["start s", "reopen", "close"]


def test_a_hook_that_cannot_start_stops_the_start_and_all_are_closed() -> None:
    first, second = Life(), Life("start s")
    logs = built(a=first, b=second)
    with pytest.raises(OSError, match="cannot start s"):
        logs.start("s")
    assert first.steps == ["start s", "close"]
    assert second.steps == ["start s", "close"]


@pytest.mark.parametrize("step", ["reopen", "close"])
def test_a_hook_that_fails_later_is_told(step: str, caplog: pytest.LogCaptureFixture) -> None:
    first, second = Life(step), Life()
    logs = built(a=first, b=second)
    logs.start("s")
    logs.reopen()
    logs.close()
    assert f"The request log a failed to {step}" in caplog.text
    assert second.steps == ["start s", "reopen", "close"]


def test_the_servers_own_loggers_carry_the_request_while_the_logs_are_open() -> None:
    def filters() -> list[int]:
        return [sum(isinstance(one, RequestFilter) for one in logging.getLogger(name).filters) for name in OWN_LOGGERS]

    before = filters()
    logs = built()
    logs.start(None)
    assert filters() == [count + 1 for count in before]
    logs.close()
    assert filters() == before


def test_a_step_without_a_name_may_fail_too(caplog: pytest.LogCaptureFixture) -> None:
    """A plugin's method may be any callable."""

    class Odd:
        def __init__(self) -> None:
            self.reopen = self.close = partial(int, "no number")

        def __call__(self, record: RequestRecord) -> None:
            """Do nothing."""

    logs = built(a=Odd())
    logs.start(None)
    logs.reopen()
    logs.close()
    assert [line.getMessage() for line in caplog.records] == [
        "The request log a failed to reopen",
        "The request log a failed to close",
    ]


def test_a_slow_log_loses_no_lines_of_another(caplog: pytest.LogCaptureFixture) -> None:
    leave = threading.Event()
    quick = Records()
    logs = built(slow=lambda _: leave.wait(10), quick=quick)
    one = RequestLogger(logs, lambda _: False, lambda _request, _origin: None)
    logs.start(None)
    for _ in range(20):
        one.finish_soon(answered())
    quick.wait(20)
    leave.set()
    logs.close()
    assert caplog.records == []
