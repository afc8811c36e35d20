"""The server keeps its promises on a machine on which everything goes wrong, and the simulation would notice if not."""

import contextlib
import ssl
from typing import Any

import pytest

from tests.simulation.world import ImpatientDispatcher, World, explore, replay
from waitressd.dispatch.role import Worker
from waitressd.http.errors import HttpError
from waitressd.net import timelimit, tls, wire
from waitressd.net.channel import Channel
from waitressd.net.eventloop import Job
from waitressd.net.exchange import Exchange
from waitressd.net.outbuf import OutBuffer
from waitressd.net.poller import READ, WRITE
from waitressd.net.recorder import Fault
from waitressd.net.states import ChannelMove, ExchangeMove, ExchangeState
from waitressd.net.timelimit import Late, Timing
from waitressd.net.tls import RECORD_BYTES, TlsStream
from waitressd.net.wire import PartialRecordError

RUNS = 250
CHUNKS = 8
MUTANT_RUNS = 600

SOMETIMES = {
    "100 Continue", "a client drips", "a client stalls", "a producer waits", "a request is queued",
    "a request is revoked", "a request is withdrawn", "accept fails with ECONNABORTED", "accept fails with EMFILE",
    "a farewell", "a late request is answered", "answer 504",
    "an answer is cut", "an application hangs", "answer 200", "answer 400", "answer 408", "answer 500", "answer 503",
    "no temporary file", "registration fails", "something is spooled", "spurious readiness", "spurious would-block",
    "state BODY", "state CLOSED", "state FLUSHING", "state HEAD", "state IDLE", "state LINGERING", "state QUEUED",
    "state RUNNING", "the role is handed over", "the role is taken over", "the stop is forced",
}  # fmt: skip
"""What every chunk of seeds must have met; the rarest things need more of them."""


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_nothing_happens_that_must_not(chunk: int) -> None:
    sometimes = explore(range(chunk * RUNS, (chunk + 1) * RUNS))
    assert SOMETIMES - sometimes.keys() == set()


def test_a_seed_replays_exactly() -> None:
    for seed in range(30):
        # Which log lines are left out depends on the real clock, and on nothing else.
        first, second = ([line for line in replay(seed) if " log: " not in line] for _ in range(2))
        assert first == second


# What the simulation must find: the server with one of its precautions taken out.


class ForgetsTheRest(ImpatientDispatcher):
    """Who gets the role does not look at the requests that the former holder had read."""

    def lead(self, worker: Worker) -> bool:
        self.tasks.clear()
        return super().lead(worker)


class SleepsTooLong(ImpatientDispatcher):
    """Waits for events alone, never for a deadline."""

    def _timeout(self) -> float | None:
        return 0 if super()._timeout() == 0 else None


class ForgetsWhatCameBack(ImpatientDispatcher):
    """Does not settle what a task without the role could not."""

    def give_back(self, job: Job) -> None:
        self.poller.wake()


def react_without_lock(channel: Channel, mask: int) -> None:
    """Park a channel without a look under the lock whether its task is still running."""
    with channel.loop.lock:
        channel._park(mask)


def never_park(_channel: Channel, _mask: int) -> None:
    """Leave a busy channel registered for reading."""


def stay_watched(channel: Channel, _mask: int) -> None:
    """Note nothing and stay silent about nothing."""
    channel.watch(READ)


def finish_at_once(channel: Channel) -> None:
    """Close without reading on."""
    channel.close()


def keep_quiet(exchange: Exchange) -> None:
    """End a cut response like a complete one."""
    exchange.fault = None
    exchange.line.close()


def push_without_care(exchange: Exchange, data: bytes) -> None:
    """Send what goes, forget the rest."""
    try:
        exchange.wire.send(data)
    except OSError:
        exchange.line.close()


def keep_in_any_order(outbuf: OutBuffer, view: memoryview) -> None:
    """Put a piece in front of those that wait."""
    outbuf.pending_bytes += view.nbytes
    outbuf._memory_bytes += view.nbytes
    outbuf._memory._views.appendleft(view)


def settle_blindly(exchange: Exchange) -> bool:
    """Give an exchange back although bytes are buffered and its client has finished."""
    if exchange.outbuf is not None or exchange.fault is not None or exchange.connection.encoder.sending != 0:
        return False
    exchange.become_idle()
    return True


def revoke_in_name_only(exchange: Exchange, fault: Fault) -> None:
    """Forget the exchange, and let its task go on."""
    with exchange.loop.lock:
        if exchange.state is not ExchangeState.RUNNING:
            return
        exchange.line.watch(0)
        exchange.move(ExchangeMove.REVOKE)
    exchange.loop.forget(exchange.line.fd, exchange.line.origin.peer)
    with exchange.loop.lock:
        exchange.release()


def close_at_once(exchange: Exchange) -> None:
    """Give the descriptor of a revoked exchange back while its task may use it."""
    exchange.wire.close()


def answer_without_asking(timing: Timing, late: Late) -> bool:
    """Answer in place of a task, whether it has begun or not."""
    timing.turn.clear()
    return timing.number == late.number


def send_without_asking(timing: Timing, data: bytes) -> int:
    """Answer, whether somebody else has or not."""
    with contextlib.suppress(IndexError):
        timing.turn.pop()
    exchange = timing._exchange
    exchange.out = exchange.wire
    sent: int = exchange.wire.send(data)
    return sent


def answer_by_the_same(exchange: Exchange, error: HttpError) -> None:
    """Answer in place of a task by the protocol that the task uses."""
    line = exchange.line
    line.exchange = other = Exchange(line, exchange.connection, exchange.loop, exchange.settings)
    other.request, other.number = exchange.request, exchange.number
    other.refuse(error)


def return_the_descriptor(exchange: Exchange) -> None:
    """Give the descriptor back when a late task returns, as if it still shared it with its connection."""
    exchange._drop_body()
    exchange._drop_outbuf()
    exchange.state = ExchangeState.DONE
    exchange.wire.close()


def skip_preface(channel: Channel) -> None:
    """Begin with HTTP before the preface is complete."""
    channel.preface = None
    channel._move(ChannelMove.BEGIN)
    channel.on_ready(READ)


MUTANTS: dict[str, tuple[type[ImpatientDispatcher], tuple[tuple[Any, str, Any], ...]]] = {
    "reacts without the lock": (ImpatientDispatcher, ((Channel, "_on_event_while_busy", react_without_lock),)),
    "never parks": (ImpatientDispatcher, ((Channel, "_on_event_while_busy", never_park),)),
    "stays watched": (ImpatientDispatcher, ((Channel, "_park", stay_watched),)),
    "forgets what was read": (ForgetsTheRest, ()),
    "sleeps through deadlines": (SleepsTooLong, ()),
    "forgets what came back": (ForgetsWhatCameBack, ()),
    "does not linger": (ImpatientDispatcher, ((Channel, "_linger", finish_at_once),)),
    "hides a cut": (ImpatientDispatcher, ((Exchange, "_finish", keep_quiet),)),
    "loses what the kernel did not take": (ImpatientDispatcher, ((Exchange, "push", push_without_care),)),
    "mixes the order of an answer": (ImpatientDispatcher, ((OutBuffer, "_keep", keep_in_any_order),)),
    "settles blindly": (ImpatientDispatcher, ((Exchange, "settle_aside", settle_blindly),)),
    "revokes in name only": (ImpatientDispatcher, ((Exchange, "revoke", revoke_in_name_only),)),
    "closes under a task": (ImpatientDispatcher, ((Exchange, "release", close_at_once),)),
    "skips the preface": (ImpatientDispatcher, ((Channel, "_read_preface", skip_preface),)),
}


def read_little(stream: TlsStream, count: int) -> bytes:
    """Read what was asked for, and leave the rest of a record where no poller sees it."""
    if stream._tls is None:
        return tls._recv(stream._socket, count)
    try:
        return stream._tls.read(min(count, 10))
    except ssl.SSLWantReadError:
        raise PartialRecordError from None


def hang_up_on_parts(stream: TlsStream, _count: int) -> bytes:
    """Take a want for the end of the client."""
    if stream._tls is None:
        return b""
    return stream._tls.read(RECORD_BYTES)


def forget_what_was_refused(stream: TlsStream, data: bytes) -> int:
    """Repeat a refused write with whatever the caller has next."""
    if stream._tls is None:
        raise BrokenPipeError
    try:
        return stream._tls.write(data[:RECORD_BYTES])
    except ssl.SSLWantWriteError:
        raise BlockingIOError from None


def owe_nothing(stream: TlsStream, parts: Any) -> int:
    """Send what was refused, and then what the caller says, which is the same."""
    if stream._refused:
        stream._write(stream._refused)
        stream._refused = b""
    sent = 0
    for part in parts:
        sent += forget_what_was_refused(stream, part)
    return sent


def drop_the_encryption(stream: TlsStream, how: int) -> None:
    """Call the method of SSLSocket instead of that of the socket below."""
    stream._socket.shutdown(how)


def close_without_farewell(_wire: Any) -> bool:
    """End as if everything were said."""
    return True


def say_farewell_once(stream: TlsStream) -> bool:
    """Do not mind whether it went out."""
    if stream._tls is not None:
        with contextlib.suppress(OSError):
            stream._tls.unwrap()
        stream._tls = None
    return True


def is_always_complete(_channel: Channel) -> bool:
    """Say farewell to everybody."""
    return True


def shake_hands_eagerly(stream: TlsStream) -> int:
    """Ask for room whenever a step is not the last."""
    return WRITE if _SHAKE_HANDS(stream) else 0


_SHAKE_HANDS = TlsStream.shake_hands

SECURE_MUTANTS: dict[str, tuple[tuple[Any, str, Any], ...]] = {
    "leaves plaintext behind": ((TlsStream, "recv", read_little),),
    "hangs up on a part of a record": ((TlsStream, "recv", hang_up_on_parts),),
    "forgets what was refused": ((TlsStream, "send", forget_what_was_refused),),
    "doubles what was refused": ((TlsStream, "_send", owe_nothing),),
    "drops the encryption": ((TlsStream, "shutdown", drop_the_encryption),),
    "says no farewell": ((wire, "farewell", close_without_farewell),),
    "says farewell whether it goes out or not": ((TlsStream, "farewell", say_farewell_once),),
    "says farewell to whom it cut off": ((Channel, "_is_complete", is_always_complete),),
    "spins in a handshake": ((TlsStream, "shake_hands", shake_hands_eagerly),),
}


@pytest.mark.parametrize("name", SECURE_MUTANTS)
def test_the_simulation_notices_encryption_that(name: str) -> None:
    world = type("Mutant", (World,), {"secure_share": 1.0, "mutations": SECURE_MUTANTS[name]})
    with pytest.raises(AssertionError, match=r"^seed \d+: "):
        explore(range(MUTANT_RUNS), world)


LIMITED_MUTANTS: dict[str, tuple[tuple[Any, str, Any], ...]] = {
    "answers over a task": ((timelimit, "_take_turn", answer_without_asking),),
    "lets a late task answer": ((Timing, "send", send_without_asking),),
    "answers by the protocol of the task": ((Exchange, "answer_instead", answer_by_the_same),),
    "closes for a late task": ((Exchange, "_let_go", return_the_descriptor),),
}


@pytest.mark.parametrize("name", LIMITED_MUTANTS)
def test_the_simulation_notices_a_time_limit_that(name: str) -> None:
    # Applications wait about as long as they may: a task and its limit meet once in forty worlds, not in a thousand.
    limits = {"limited_share": 1.0, "late_share": 1.0, "moods": (("sleep", "sleep", "small"),)}
    world = type("Mutant", (World,), {**limits, "mutations": LIMITED_MUTANTS[name]})
    with pytest.raises(AssertionError, match=r"^seed \d+: "):
        explore(range(MUTANT_RUNS), world)


@pytest.mark.parametrize("name", MUTANTS)
def test_the_simulation_notices_a_server_that(name: str) -> None:
    dispatcher, mutations = MUTANTS[name]
    world = type("Mutant", (World,), {"dispatcher_class": dispatcher, "mutations": mutations})
    with pytest.raises(AssertionError, match=r"^seed \d+: "):
        explore(range(MUTANT_RUNS), world)
