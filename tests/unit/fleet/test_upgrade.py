"""What a master leaves to the next one, which may be another version; and when it may not be replaced."""

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.model.fleetmodel import FleetModel
from tests.support.fleetstory import Story
from tests.support.scripts import ROOT
from waitressd.command import StartCommand
from waitressd.fleet import actions as do
from waitressd.fleet import upgrade
from waitressd.fleet.actions import CodeFacts
from waitressd.fleet.handover import STATE, HandOver, StateError, read
from waitressd.fleet.hello import Hello
from waitressd.fleet.plan import Plan
from waitressd.fleet.states import Life
from waitressd.fleet.upgrade import Probe, check, rehearse
from waitressd.logsetup import LogSetup

needs_forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no fleets here")

HELLO = Hello(2, True, "", {"listen": "127.0.0.1:0"})


def command(*words: str) -> StartCommand:
    """Return a command of this interpreter that finds the tree under test."""
    return StartCommand(words or (sys.executable,), {**os.environ, "PYTHONPATH": str(ROOT)}, "/")


def hand(**changes: Any) -> HandOver:
    """Return what a master began with."""
    return replace(HandOver(command(), HELLO, (), None, LogSetup(), prints=False), **changes)


def through_json(value: Any) -> Any:
    """Return what the next program reads of a value."""
    return json.loads(json.dumps(value))


def next_plan(plan: Plan, now: float) -> Plan:
    """Return the plan of the next program."""
    after = Plan()
    after.resume(now, through_json(plan.carry(now)))
    return after


# -- the plan


class UpgradedModel(FleetModel):
    """The plan goes on in another program before every event, wherever that may be."""

    def tell(self, event: str, *arguments: Any, **keywords: Any) -> None:
        succession = self.plan.succession
        is_at_rest = succession.candidate is None and not succession.is_moving
        if self.plan.life is Life.SERVING and self.can_reload and is_at_rest:
            self.sometimes["upgraded"] += 1
            self.plan = next_plan(self.plan, self.now)
            self.told = None  # the service manager is told again
        super().tell(event, *arguments, **keywords)


def test_the_promises_of_the_plan_hold_across_upgrades() -> None:
    upgrades = 0
    for seed in range(300):
        upgrades += UpgradedModel(seed).run().sometimes["upgraded"]
    assert upgrades > 1000


def test_the_next_plan_knows_who_serves_and_since_when() -> None:
    story = Story(2)
    story.serve()
    story.plan = next_plan(story.plan, story.now)
    assert story.plan.life is Life.SERVING
    story.wait(7)
    story.die(1, "SIGSEGV")
    assert story.lines[-1] == (
        "ERROR: worker 1 (pid 1001, generation 1) died after 107.0 s: SIGSEGV; it is replaced at once"
    )
    assert story.of(do.Spawn) == [do.Spawn(3, 1, 1)]  # whose number nobody has had


def test_there_is_the_same_way_back_after_an_upgrade() -> None:
    story = Story(1)
    story.serve()
    story.tell("hup")
    story.tell("hello", 2, CodeFacts(1, is_preloaded=True))
    story.tell("bound", 2)
    story.boot_all()
    story.finish(1)
    story.plan = next_plan(story.plan, story.now)
    story.die(2)
    story.boot_all()
    story.die(story.plan.crew.at(1)[0].number)
    assert "rolling back to generation 1" in story.lines[-1]


def test_templates_of_another_protocol_end_and_are_loaded_again() -> None:
    story = Story(1)
    story.serve()
    story.plan = next_plan(story.plan, story.now)
    assert do.QuitCode(1) in story.tell("lose_templates")
    assert do.LoadCode(2, stands_in_for=1) in story.tell("template_died", 1, "status 0")


# -- the state


def state() -> dict[str, Any]:
    """Return the smallest state that there can be."""
    story = Story(1)
    story.serve()
    code: dict[str, Any] = {
        "pid": 0,
        "link": None,
        "loading": None,
        "number": 1,
        "hello": HELLO.fields(),
        "listeners": [],
    }
    guard = {"pid": 0, "is_wanted": True, "link": None}
    roster = {
        "listeners": [],
        "codes": [code],
        "workers": [],
        "mailboxes": [],
        "board": None,
        "guard": guard,
        "unknown": [],
        "later": [],
    }
    figures: dict[str, Any] = {"exits": {}, "born_at": []}
    shown: dict[str, Any] = {"hellos": [], "counters": None, "admin": []}
    return {
        "version": "1", "protocol": 1, "plan": story.plan.carry(story.now), "roster": roster, "figures": figures,
        "spools": [], "passed_on": [], "shown": shown,
    }  # fmt: skip


def test_a_state_is_read_before_it_is_used() -> None:
    check(through_json(state()))
    check({**state(), "unknown to this version": 1})


@pytest.mark.parametrize("name", sorted(state()))
def test_a_state_that_lacks_something_is_refused(name: str) -> None:
    fields = state()
    del fields[name]
    with pytest.raises(KeyError):
        check(fields)


def test_a_state_that_means_something_unknown_is_refused() -> None:
    fields = state()
    fields["plan"]["crew"]["workers"][0]["stage"] = "LEVITATING"
    with pytest.raises(KeyError, match="LEVITATING"):
        check(fields)
    fields = state()
    fields["roster"]["codes"][0]["hello"]["settings"] = {"threads": "many"}
    with pytest.raises(Exception, match="many"):
        check(fields)


def test_a_state_of_another_form_is_refused() -> None:
    with pytest.raises(StateError, match="state 99"):
        read({"state": 99})
    with pytest.raises(StateError, match=f"not \\({STATE},\\)"):
        read({})


# -- the probe


def wait_for(probe: Probe) -> None:
    """Wait until it has said all."""
    while probe.is_talking:
        time.sleep(0.01)
        probe.hear()


@pytest.fixture
def probes() -> Iterator[list[Probe]]:
    """Those that are ended and reaped at the end."""
    made: list[Probe] = []
    yield made
    for probe in made:
        probe.close()
        probe.close()
        os.waitpid(probe.pid, 0)


@needs_forks
def test_the_installed_version_shows_that_it_can_go_on(probes: list[Probe]) -> None:
    probes.append(Probe(command(), hand(carried=state())))
    wait_for(probes[0])
    assert probes[0].program() == Path(upgrade.__file__).with_name("__main__.py")


@needs_forks
def test_the_installed_version_says_why_it_cannot(probes: list[Probe]) -> None:
    probes.append(Probe(command(), hand(carried={**state(), "plan": {}})))
    wait_for(probes[0])
    assert probes[0].program() is None
    assert probes[0].why_not(0.0) == "the installed version cannot go on: KeyError: 'succession'"


@needs_forks
def test_one_that_does_not_answer_is_not_waited_for(probes: list[Probe], tmp_path: Path) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text("#!/bin/sh\nexec sleep 600\n")
    interpreter.chmod(0o755)
    probes.append(Probe(command(str(interpreter)), hand(carried=state())))
    probes[0].hear()
    assert probes[0].why_not(probes[0].due) == "the installed version has not answered after 10 s"


@needs_forks
def test_an_interpreter_that_is_gone_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        Probe(command("/gone/python"), hand(carried=state()))


def test_a_rehearsal_says_what_is_to_be_executed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "state"
    folder, found = str(Path.cwd()), list(sys.path)
    written = {
        "state": STATE, "python": sys.implementation.cache_tag, "path": found, "command": [["a"], {}, folder],
        "hello": HELLO.fields(), "listeners": [], "template": None, "logs": ["", {}, 0], "prints": False,
        "carried": state(),
    }  # fmt: skip
    path.write_text(json.dumps(written))
    with pytest.raises(SystemExit) as ended:
        rehearse(os.open(path, os.O_RDONLY))
    assert ended.value.code == 0
    assert "__main__.py" in capfd.readouterr().err
