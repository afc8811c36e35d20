"""What a master does for its plan where that goes wrong; what becomes of processes, `test_master` shows."""

import contextlib
import os
import selectors
import sys
from collections.abc import Iterator
from functools import partial

from waitressd.command import StartCommand
from waitressd.fleet import actions
from waitressd.fleet.executor import Event, Executor
from waitressd.fleet.figures import Figures
from waitressd.fleet.handover import HandOver
from waitressd.fleet.hello import Hello
from waitressd.fleet.links import Links
from waitressd.fleet.outside import Outside
from waitressd.fleet.plan import Plan
from waitressd.fleet.roster import Code, Roster
from waitressd.logfiles import Reopener
from waitressd.logsetup import LogSetup
from waitressd.net.listener import open_tcp
from waitressd.systemd import Notifier


@contextlib.contextmanager
def executor(listen: str, interpreter: str = sys.executable) -> Iterator[tuple[Executor, list[Event]]]:
    """What acts for a plan, which notes what it is told; code 1 listens at this address, once it is bound."""
    told: list[Event] = []
    command = StartCommand((interpreter, "-c", "pass"), dict(os.environ), "/")
    hello = Hello(workers=2, is_preloaded=False, preload_is_off="", settings={"listen": listen})
    plan, roster = Plan(), Roster(command)
    roster.codes[1] = Code(0, None, None, 1, hello)
    figures = Figures(plan, roster)
    hand = HandOver(command, hello, (), None, LogSetup(), prints=False)
    with selectors.DefaultSelector() as poller:
        outside, links = Outside(plan, roster, figures.state, poller), Links(poller)
        reopener = Reopener(lambda: None)
        yield (
            Executor(hand, plan, roster, links, outside, figures, Notifier({}), reopener, told.append, _no_upgrade),
            told,
        )
        roster.keep_addresses(())
        roster.close()


def _no_upgrade() -> None:
    raise AssertionError


def names(told: list[Event]) -> list[str]:
    """Name the events of the plan."""
    return [event.func.__name__ for event in told if isinstance(event, partial)]


def reason(event: Event) -> str:
    """Return why something has failed."""
    assert isinstance(event, partial)
    return str(event.args[-1])


def test_the_end_of_the_fleet_is_the_status_of_the_process() -> None:
    with executor("127.0.0.1:0") as (hands, told):
        hands.do(actions.End(3))
        assert hands.status == 3
        assert not told


def test_addresses_of_a_code_are_bound_kept_named_and_given_up() -> None:
    with executor("127.0.0.1:0") as (hands, told):
        hands.do(actions.Bind(1))
        assert names(told) == ["bound"]
        (listener,) = hands.roster.codes[1].listeners
        hands.do(actions.KeepAddresses((1,)))
        assert hands.names == listener.name
        hands.do(actions.KeepAddresses(()))
        assert hands.names == ""
        assert hands.roster.held() == {}


def test_a_code_whose_address_is_taken_is_refused_with_the_reason() -> None:
    (taken,) = open_tcp("127.0.0.1", 0, 5)
    with executor(taken.name) as (hands, told):
        hands.do(actions.Bind(1))
        assert names(told) == ["failed"]
        assert taken.name in reason(told[0])
    taken.close()


def test_an_interpreter_that_is_gone_fails_each_birth_with_its_reason() -> None:
    with executor("127.0.0.1:0", "/no/such/python") as (hands, told):
        hands.do(actions.LoadCode(2, None))
        hands.do(actions.Spawn(1, 1, 1))
        assert names(told) == ["template_died", "died"]
        assert hands.roster.workers == {}
        assert "could not be started" in reason(told[1])


def test_orders_for_a_worker_that_has_ended_are_nothing() -> None:
    with executor("127.0.0.1:0") as (hands, told):
        for action in (actions.Drain(9, 1.0, is_last=False), actions.Abort(9), actions.Kill(9)):
            hands.do(action)
        assert told == []
