"""Whatever an application does, its answer is whole, visibly broken off, or a 500; its iterable is closed once."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.applications import Start
from tests.support.recording import RecordingTransport, exchange


@dataclass
class Plan:
    """What an application is going to do."""

    method: str
    version: str
    status: str
    declared: int | None
    kind: str  # what it returns
    written: list[bytes]  # what it passes to write() before
    chunks: list[bytes]
    fails_at: int | None  # the number of chunks after which it raises
    close_fails: bool
    leaves_after_bytes: int | None


chunks = st.lists(
    st.sampled_from([b"", b"a", b"bc", b"HTTP/1.1 200 OK\r\n\r\n", b"0\r\n\r\n", b"x" * 70_000]), max_size=5
)
plans = st.builds(
    Plan,
    method=st.sampled_from(["GET", "GET", "POST", "HEAD"]),
    version=st.sampled_from(["1.1", "1.1", "1.0"]),
    status=st.sampled_from(["200 OK", "200 OK", "404 ", "204 No Content", "205 Reset", "304 Not Modified", "bad"]),
    declared=st.one_of(st.none(), st.sampled_from([0, 1, 3, 19, 70_000])),
    kind=st.sampled_from(["list", "tuple", "generator", "late generator", "sized", "file"]),
    written=st.one_of(st.just([]), chunks),
    chunks=chunks,
    fails_at=st.one_of(st.none(), st.none(), st.integers(0, 5)),
    close_fails=st.booleans(),
    leaves_after_bytes=st.one_of(st.none(), st.none(), st.integers(0, 300)),
)


class Result:
    """An iterable that follows the plan and counts its closings."""

    def __init__(self, plan: Plan, start: Any) -> None:
        self._plan = plan
        self._start = start
        self.closed_count = 0

    def __iter__(self) -> Iterator[bytes]:
        self._start()
        for index, chunk in enumerate(self._plan.chunks):
            if index == self._plan.fails_at:
                raise SystemExit(1)
            yield chunk
        if self._plan.fails_at is not None:
            raise KeyboardInterrupt

    def close(self) -> None:
        self.closed_count += 1
        if self._plan.close_fails:
            raise RuntimeError("close() fails")


class SizedResult(Result):
    def __len__(self) -> int:
        return len(self._plan.chunks)


def run(plan: Plan) -> tuple[RecordingTransport, list[Result], list[io.BytesIO]]:
    """Let an application follow the plan; return the transport and what it returned and opened."""
    results: list[Result] = []
    files: list[io.BytesIO] = []

    def application(environ: dict[str, Any], start_response: Start) -> Any:
        fields = [] if plan.declared is None else [("Content-Length", str(plan.declared))]

        def start() -> None:
            if plan.kind == "late generator":
                start_response(plan.status, fields)

        if plan.kind != "late generator":
            write = start_response(plan.status, fields)
            for chunk in plan.written:
                write(chunk)
        if plan.kind in ("list", "tuple"):
            return list(plan.chunks) if plan.kind == "list" else tuple(plan.chunks)
        if plan.kind == "file":
            files.append(io.BytesIO(b"".join(plan.chunks)))
            return environ["wsgi.file_wrapper"](files[0], 1000)
        results.append((SizedResult if plan.kind == "sized" else Result)(plan, start))
        return results[0]

    transport = RecordingTransport(leaves_after_bytes=plan.leaves_after_bytes)
    exchange(application, f"{plan.method} / HTTP/{plan.version}\r\nHost: x\r\n\r\n".encode(), transport=transport)
    return transport, results, files


def expected_body(plan: Plan) -> bytes:
    written = [] if plan.kind == "late generator" else plan.written
    return b"".join([*written, *plan.chunks])


@settings(max_examples=400)
@given(plans)
def test_an_answer_is_whole_or_visibly_broken_off(plan: Plan) -> None:
    transport, results, files = run(plan)
    assert all(result.closed_count == 1 for result in results)
    assert all(file.closed for file in files)
    if transport.gone:
        return
    answer = transport.answer(plan.method)
    is_bodiless = plan.method == "HEAD" or answer.status in (204, 205, 304)
    if plan.version == "1.1" or answer.get("Content-Length") or is_bodiless:
        assert answer.complete == transport.connection.encoder.response_done
    if answer.status == 500:
        assert plan.status == "bad" or plan.fails_at is not None
        return
    if is_bodiless:
        assert answer.body == b""
        assert answer.complete
        return
    body = expected_body(plan)
    assert body.startswith(answer.body)
    if transport.connection.encoder.response_done and plan.declared is None:
        assert answer.body == body
    elif transport.connection.encoder.response_done:
        assert len(answer.body) == plan.declared
    # An answer that is not whole says so on every path: the connection does not go on.
    assert transport.connection.encoder.response_done or transport.connection.encoder.sending.name in ("BODY", "BROKEN")
