"""The server keeps its promises on a machine on which everything goes wrong, and the simulation would notice if not."""

from typing import Any

import pytest

from tests.simulation.world import World, explore, replay
from waitressd.net.channel import Channel
from waitressd.net.dispatcher import Dispatcher
from waitressd.net.outbuf import OutBuffer
from waitressd.net.poller import READ
from waitressd.net.role import Job
from waitressd.net.states import State

RUNS = 250
CHUNKS = 8
MUTANT_RUNS = 600

SOMETIMES = {
    "100 Continue", "a client drips", "a client stalls", "a producer waits", "a request is queued",
    "a request is withdrawn", "accept fails with ECONNABORTED", "accept fails with EMFILE",
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


class ReactsWithoutLock(Dispatcher):
    """Parks a channel without a look under the lock whether its task is still running."""

    def _react(self, channel: Channel, mask: int) -> bool:
        if channel.state in (State.QUEUED, State.RUNNING) and mask:
            with self.role.lock:
                channel.on_ready_while_busy(mask)
            return False
        return super()._react(channel, mask)


class NeverParks(Dispatcher):
    """Leaves a busy channel registered for reading."""

    def _react(self, channel: Channel, mask: int) -> bool:
        if channel.state in (State.QUEUED, State.RUNNING):
            return False
        return super()._react(channel, mask)


class SleepsTooLong(Dispatcher):
    """Waits for events alone, never for a deadline."""

    def _timeout(self) -> float | None:
        return 0 if super()._timeout() == 0 else None


class ForgetsWhatCameBack(Dispatcher):
    """Does not settle what a task without the role could not."""

    def give_back(self, job: Job) -> None:
        self.poller.wake()


def finish_at_once(channel: Channel) -> None:
    """Close without reading on."""
    channel.close()


def keep_quiet(channel: Channel) -> None:
    """End a cut answer like a complete one."""
    channel._cut = False
    channel.close()


def push_without_care(channel: Channel, data: bytes) -> None:
    """Send what goes, forget the rest."""
    try:
        channel.sock.send(data)
    except OSError:
        channel.close()


def keep_in_any_order(outbuf: OutBuffer, view: memoryview) -> None:
    """Put a piece in front of those that wait."""
    outbuf.pending_bytes += view.nbytes
    outbuf._memory_bytes += view.nbytes
    outbuf._memory._views.appendleft(view)


def settle_blindly(channel: Channel) -> bool:
    """Give a channel back although bytes are buffered and its client has finished."""
    if channel.outbuf is not None or channel.gone or channel.connection.encoder.sending != 0:
        return False
    channel._become_idle()
    return True


def stay_watched(channel: Channel, mask: int) -> None:
    """Note nothing and stay silent about nothing."""
    channel._watch(READ)


MUTANTS: dict[str, tuple[type[Dispatcher], tuple[tuple[Any, str, Any], ...]]] = {
    "reacts without the lock": (ReactsWithoutLock, ()),
    "never parks": (NeverParks, ()),
    "stays watched": (Dispatcher, ((Channel, "on_ready_while_busy", stay_watched),)),
    "sleeps through deadlines": (SleepsTooLong, ()),
    "forgets what came back": (ForgetsWhatCameBack, ()),
    "does not linger": (Dispatcher, ((Channel, "_linger", finish_at_once),)),
    "hides a cut": (Dispatcher, ((Channel, "_finish_answer", keep_quiet),)),
    "loses what the kernel did not take": (Dispatcher, ((Channel, "_push", push_without_care),)),
    "mixes the order of an answer": (Dispatcher, ((OutBuffer, "_keep", keep_in_any_order),)),
    "settles blindly": (Dispatcher, ((Channel, "settle_aside", settle_blindly),)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_simulation_notices_a_server_that(name: str) -> None:
    dispatcher, mutations = MUTANTS[name]
    world = type("Mutant", (World,), {"dispatcher_class": dispatcher, "mutations": mutations})
    with pytest.raises(AssertionError, match=r"^seed \d+: "):
        explore(range(MUTANT_RUNS), world)
