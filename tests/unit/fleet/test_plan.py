"""What a fleet does when: one story at a time. That the promises hold whatever happens, test_plan_model.py shows."""

import logging
import math

import pytest

from tests.support.fleetstory import Story
from waitressd.fleet import actions as do
from waitressd.fleet.actions import CodeFacts
from waitressd.fleet.plan import Plan
from waitressd.fleet.states import Life, RollStage, WorkerStage


def test_a_start_from_a_template_has_all_workers_born_at_once() -> None:
    story = Story(3)
    assert story.start() == [do.Spawn(1, 1, 1), do.Spawn(2, 2, 1), do.Spawn(3, 3, 1)]
    assert story.ready(1)[-1] == do.Serving("with 1 of 3 workers, generation 1")
    assert story.lines == ["DEBUG: worker 1 (pid 1001, generation 1) serves"]
    story.boot_all()
    assert [line for line in story.lines if line.startswith("INFO")] == ["INFO: 3 workers serve"]
    assert story.status == do.Serving("with 3 of 3 workers, generation 1")
    assert story.plan.due == math.inf  # an idle fleet costs nothing


def test_without_a_template_one_worker_loads_first_and_then_two_at_a_time() -> None:
    story = Story(4, is_preloaded=False)
    assert story.start() == [do.Spawn(1, 1, 1)]
    story.ready(1)
    assert story.of(do.Spawn) == [do.Spawn(2, 2, 1), do.Spawn(3, 3, 1)]
    story.ready(2)
    assert story.of(do.Spawn) == [do.Spawn(4, 4, 1)]


def test_what_switched_preload_off_is_said() -> None:
    story = Story()
    story.tell("start", CodeFacts(1, is_preloaded=False, hazards="the application left the thread mailer"))
    assert story.lines == ["WARNING: preload is off: the application left the thread mailer"]


def test_a_first_start_that_fails_is_the_end() -> None:
    story = Story(2)
    story.start()
    story.die(1, "status 1")
    assert story.lines[-1] == "CRITICAL: giving up: the first start has failed"
    assert story.of(do.Kill) == [do.Kill(2)]
    assert story.of(do.QuitCode) == [do.QuitCode(1)]
    story.die(2)
    assert story.tell("template_died", 1, "status 0") == [do.End(1)]
    assert story.plan.life is Life.ENDED


def test_a_first_start_that_takes_too_long_ends_with_stacks() -> None:
    story = Story(1)
    story.start()
    assert do.Kill(1, with_stacks=True) in story.wait(61)
    assert "not ready after 60 s" in story.lines[0]


def test_a_dead_worker_is_replaced_at_once_and_explained_in_one_line() -> None:
    story = Story(2)
    story.serve()
    before = len(story.lines)
    assert story.die(1, "SIGSEGV")[-2:] == [do.Spawn(3, 1, 1), do.Serving("with 1 of 2 workers, generation 1")]
    assert story.lines[before:] == [
        "ERROR: worker 1 (pid 1001, generation 1) died after 100.0 s: SIGSEGV; it is replaced at once"
    ]


def test_an_exit_that_nobody_asked_for_is_a_death() -> None:
    story = Story(1)
    story.serve()
    story.finish(1)
    assert story.lines[-1].startswith("WARNING: worker 1 (pid 1001, generation 1) died")
    assert story.of(do.Spawn) == [do.Spawn(2, 1, 1)]


def test_those_who_die_young_wait_longer_and_longer() -> None:
    story = Story(1, is_preloaded=False)
    story.serve()
    waits = []
    for _ in range(10):
        story.die(max(story.stages()))
        waits.append(story.lines[-1].rpartition("; ")[2])
        if not story.newborn:
            story.wait(60)
        story.boot_all()
        story.wait(1)
    assert waits[:2] == ["it is replaced at once"] * 2
    assert waits[2:] == [f"the next attempt in {seconds} s" for seconds in (1, 3, 9, 27, 57, 57, 57, 57)]


def test_forks_that_die_now_and_then_are_replaced_at_once_and_a_crash_loop_is_not() -> None:
    story = Story(1)
    story.serve()
    begun, deaths = story.now, 0
    while story.now < begun + 120:
        if story.newborn:
            story.boot_all()
            story.now += 0.1
            story.die(max(story.stages()), "SIGABRT")
            deaths += 1
        elif deaths:
            story.wait(0.5)
        else:
            story.die(1)
    assert 10 < deaths < 50


def test_broken_code_on_the_disk_is_tried_seven_times_in_two_minutes() -> None:
    story = Story(2, is_preloaded=False)
    story.serve()
    story.die(1)
    begun, attempts, lines = story.now, 0, len(story.lines)
    while story.now < begun + 120:
        if story.newborn:
            attempts += 1
            story.now += 0.3
            story.die(story.newborn[0].worker, "status 1: SyntaxError")
        else:
            story.wait(0.1)
    assert attempts == 7
    assert len(story.lines) - lines == 7


def test_a_place_that_has_served_long_enough_is_forgiven() -> None:
    story = Story(1, is_preloaded=False)
    story.serve()
    for _ in range(3):
        story.die(max(story.stages()))
        story.wait(5)
        story.boot_all()
    story.wait(60)
    story.die(max(story.stages()))
    assert story.lines[-1].endswith("it is replaced at once")


def test_a_fleet_of_which_nobody_serves_gives_up_after_five_attempts() -> None:
    story = Story(1)
    story.serve()
    story.die(1)
    for _ in range(4):
        story.die(story.newborn[0].worker, "status 1")
        assert story.plan.life is Life.SERVING
        story.wait(60)
    story.die(story.newborn[0].worker, "status 1")
    assert story.lines[-1] == "CRITICAL: giving up: nobody serves, and 5 attempts in a row have failed"
    assert story.tell("template_died", 1, "status 0") == [do.End(1)]


def test_a_fleet_does_not_give_up_while_a_repair_is_being_loaded() -> None:
    story = Story(1, is_preloaded=False)
    story.serve()
    story.die(1)
    for _ in range(4):
        story.die(story.newborn[0].worker, "status 1")
        story.wait(60)
    story.tell("hup")
    story.die(story.newborn[0].worker, "status 1")
    story.tell("hello", 2, story.facts)
    assert story.tell("bound", 2)[:2] == [do.QuitCode(2), do.Spawn(7, 1, 2)]  # at once, whatever the back-off


def test_a_worker_that_leaves_by_itself_is_replaced_at_once() -> None:
    story = Story(2)
    story.serve()
    assert do.Spawn(3, 1, 1) in story.tell("leaving", 1)
    story.boot_all()
    assert story.stages() == {1: "LEAVING", 2: "SERVING", 3: "SERVING"}
    lines = len(story.lines)
    story.finish(1)
    assert len(story.lines) == lines


def test_one_that_leaves_again_and_again_is_no_loop() -> None:
    story = Story(1)
    story.serve()
    story.tell("leaving", 1)
    for _ in range(3):
        story.tell("leaving", story.newborn.pop().worker)
        story.wait(3)
    assert story.lines[-1].endswith("the next attempt in 3 s")


def test_who_does_not_finish_is_cut_off_and_then_killed() -> None:
    story = Story(2)
    story.serve()
    story.tell("leaving", 1)
    story.boot_all()
    assert do.Abort(1) in story.wait(30)
    assert do.Kill(1, with_stacks=True) in story.wait(4)
    assert story.wait(11)[-1:] != []
    assert story.lines[-1].endswith("was killed and is still there: it is left alone")


def test_a_stop_has_one_deadline_for_all() -> None:
    story = Story(3)
    story.serve()
    story.die(3)
    assert story.tell("stop") == [
        do.Say(logging.INFO, "SIGTERM: stopping; a second signal ends at once"),
        do.Stopping("stopping"),
        do.KeepAddresses(()),  # so nobody comes behind the last look at the backlog
        do.Drain(1, 30.0, is_last=True),
        do.Drain(2, 30.0, is_last=True),
        do.Kill(4),  # which boots
        do.QuitCode(1),
    ]
    story.finish(1)
    story.die(4)
    story.tell("template_died", 1, "status 0")
    assert story.plan.life is Life.STOPPING
    assert do.Abort(2) in story.wait(30)
    assert story.finish(2) == [do.End(0)]


def test_nobody_is_born_after_a_stop() -> None:
    story = Story(2)
    story.serve()
    story.tell("stop")
    story.die(1)
    story.tell("hup")
    story.wait(100)
    assert story.newborn == []


def test_a_second_signal_ends_it_within_two_seconds() -> None:
    story = Story(2)
    story.serve()
    story.tell("stop")
    assert story.tell("stop", "SIGINT")[1:] == [do.Abort(1), do.Abort(2)]
    assert story.lines[-1] == "WARNING: SIGINT again: what is left is cut off"
    found = story.wait(1)
    assert do.Kill(1) in found
    assert do.KillCode(1) in found


def test_a_signal_is_the_first_one_for_who_has_asked_for_nothing_yet() -> None:
    story = Story(1)
    story.serve()
    story.die(1)
    for _ in range(5):
        story.die(story.newborn[0].worker, "status 1")
        story.wait(60)
    assert story.plan.life is Life.ENDED or story.plan.life is Life.FAILING
    assert story.tell("stop") == []


def test_a_worker_that_was_killed_before_its_birth_is_killed_when_it_is_born() -> None:
    story = Story(2)
    story.serve()
    story.die(1)
    assert do.Kill(3) in story.tell("stop")
    assert story.tell("born", 3, 7) == [do.Kill(3)]


def test_a_second_signal_hurries_those_who_abort_already() -> None:
    story = Story(2)
    story.serve()
    story.tell("stop")
    story.wait(30)
    assert set(story.stages().values()) == {"ABORTING"}
    assert [type(action) for action in story.tell("stop")] == [do.Say]
    assert do.Kill(1) in story.wait(1)
    assert story.tell("stop") == []


def test_what_a_worker_says_while_it_is_being_ended_changes_nothing() -> None:
    story = Story(1)
    story.serve()
    story.tell("stop")
    assert story.tell("leaving", 1) == []
    story.tell("stop")
    story.wait(1)
    assert story.tell("ready", 1) == []
    assert story.stages() == {1: "ENDING"}


def test_a_stop_ends_what_is_being_loaded() -> None:
    story = Story(1)
    story.serve()
    story.tell("hup")
    assert do.KillCode(2) in story.tell("stop")
    assert story.tell("hello", 2, story.facts) == []


def test_a_place_that_goes_is_not_filled_again() -> None:
    story = Story(2)
    story.serve()
    story.load(2, workers=1)
    story.die(2)
    assert story.lines[-1].endswith("its place is not filled again")


def test_what_can_no_longer_be_killed_does_not_hold_up_the_end() -> None:
    story = Story(1)
    story.serve()
    story.tell("stop")
    story.tell("stop")
    assert story.wait(20)[-1] == do.End(0)


def test_a_pause_of_the_machine_condemns_nobody() -> None:
    story = Story(1)
    story.start()
    story.wait(10)
    story.now += 3600
    assert story.tell("tick") == []
    story.wait(45)
    assert story.stages() == {1: "BOOTING"}
    assert do.Kill(1, with_stacks=True) in story.wait(6)


def test_a_reload_replaces_one_after_the_other_and_new_ones_serve_first() -> None:
    story = Story(2)
    story.serve()
    assert story.load(2) == [do.Spawn(3, 1, 2), do.Reloading("with 2 of 2 workers, generation 2")]
    story.ready(3)
    # The next one boots while the old one finishes; nobody else is drained before that has ended.
    assert story.last[1:] == [do.Drain(1, 30.0, is_last=False), do.Spawn(4, 2, 2)]
    story.ready(4)
    assert story.of(do.Drain) == []
    assert story.finish(1) == [do.Drain(2, 30.0, is_last=False)]
    assert "reload done" not in story.lines[-1]
    story.finish(2)
    assert story.lines[-1] == "INFO: reload done: generation 2 serves with 2 workers"
    assert story.status == do.Serving("with 2 of 2 workers, generation 2")


def test_the_old_template_goes_when_the_new_code_has_proved_itself() -> None:
    story = Story(2)
    story.serve()
    story.load(2)
    story.roll()
    assert story.plan.succession.roll is RollStage.PROVING
    assert do.QuitCode(1) not in story.wait(29.9)
    assert do.QuitCode(1) in story.wait(0.2)
    assert story.tell("template_died", 1, "status 0") == [do.KeepAddresses((2,))]


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1)])
def test_a_reload_may_change_how_many_there_are(before: int, after: int) -> None:
    story = Story(before)
    story.serve()
    story.load(2, workers=after)
    story.roll()
    assert sorted(worker.place for worker in story.plan.crew) == list(range(1, after + 1))
    assert story.lines[-1].startswith("INFO: reload done")


def test_an_old_worker_that_dies_during_a_reload_is_replaced_by_the_new_code() -> None:
    story = Story(2)
    story.serve()
    story.load(2)
    story.die(2)
    assert story.of(do.Spawn) == [do.Spawn(4, 2, 2)]
    assert story.plan.succession.roll is RollStage.ROLLING


def test_under_serve_a_reload_replaces_workers_from_the_same_template() -> None:
    story = Story(2, can_reload=False)
    story.serve()
    assert do.Spawn(3, 1, 1) in story.tell("hup")
    assert "serve() cannot load new code" in story.lines[-1]
    story.roll()
    assert story.lines[-1] == "INFO: reload done: generation 2 serves with 2 workers"
    assert story.plan.due == math.inf  # nothing to prove


def test_a_reload_reopens_the_logs_even_when_it_must_wait() -> None:
    story = Story(2)
    story.start()
    assert story.tell("hup")[0] == do.ReopenLogs()
    assert story.lines[-1] == "INFO: SIGHUP: a reload follows the start that is on its way"
    story.ready(1)
    assert story.of(do.LoadCode) == [do.LoadCode(2)]


def test_what_comes_from_the_dead_is_ignored() -> None:
    story = Story(1)
    story.serve()
    for event in (("ready", 9), ("leaving", 9), ("born", 9, 1), ("died", 9, "SIGKILL"), ("template_died", 9, "x")):
        assert story.tell(*event) == []
    assert story.tell("hello", 9, story.facts) == story.tell("bound", 9) == story.tell("failed", 9, "x") == []


def test_a_template_is_replaced_while_its_workers_go_on() -> None:
    story = Story(2)
    story.serve()
    assert do.LoadCode(2, stands_in_for=1) in story.tell("template_died", 1, "SIGKILL")
    story.die(1)
    assert story.of(do.Spawn) == []
    assert story.lines[-1].endswith("its place waits for the template")
    story.tell("hello", 2, CodeFacts(9, is_preloaded=True))  # a number that waits for the next reload
    assert story.of(do.Spawn) == [do.Spawn(3, 1, 2)]
    story.boot_all()
    assert story.status == do.Serving("with 2 of 2 workers, generation 1")


def test_without_a_command_to_run_again_the_loss_of_the_template_is_the_end() -> None:
    story = Story(2, can_reload=False)
    story.serve()
    story.tell("template_died", 1, "SIGKILL")
    assert story.of(do.Drain) == [do.Drain(1, 30.0, is_last=True), do.Drain(2, 30.0, is_last=True)]
    story.finish(1)
    assert story.finish(2) == [do.End(1)]


def test_signals_make_it_one_worker_more_or_less_until_the_next_reload() -> None:
    plan, status = Plan(), "with 2 of 3 workers (2 configured), generation 1"
    plan.start(0.0, CodeFacts(2, is_preloaded=True))
    for worker in (1, 2):
        plan.born(0.0, worker, 100 + worker)
        plan.ready(0.0, worker)
    more = plan.resize(1.0, 1, "SIGTTIN")
    assert do.Say(logging.INFO, "SIGTTIN: 3 workers from now on, until the next reload") in more
    assert more[-2:] == [do.Spawn(3, 3, 1), do.Serving(status)]
    plan.born(1.0, 3, 103)
    plan.ready(1.0, 3)
    assert plan.resize(2.0, -1, "SIGTTOU")[-1] == do.Serving("with 2 of 2 workers, generation 1")
    assert plan.crew.workers[3].stage is WorkerStage.DRAINING
    plan.died(3.0, 3, "exit status 0", is_clean=True)
    plan.resize(4.0, -1, "SIGTTOU")
    last = plan.resize(4.0, -1, "SIGTTOU")
    assert last == [do.Say(logging.INFO, "SIGTTOU: it stays at 1 worker")]
    plan.hup(5.0)
    plan.hello(6.0, 2, CodeFacts(2, is_preloaded=True))
    plan.bound(6.0, 2)
    assert plan.succession.current.size == 2


def test_an_upgrade_needs_rest() -> None:
    def word(actions: list[do.Action]) -> object:
        (found,) = [action for action in actions if isinstance(action, do.Say | do.Upgrade)]
        return found.text.removeprefix("SIGUSR2: no upgrade: ") if isinstance(found, do.Say) else found

    plan = Plan()
    plan.start(0.0, CodeFacts(1, is_preloaded=True))
    assert word(plan.upgrade(0.0)) == "the fleet has not started yet"
    plan.born(0.0, 1, 101)
    plan.ready(0.0, 1)
    assert word(plan.upgrade(1.0)) == do.Upgrade()
    plan.resize(2.0, 1, "SIGTTIN")
    assert word(plan.upgrade(2.0)) == "a worker is being replaced"
    plan.born(2.0, 2, 102)
    plan.ready(2.0, 2)
    plan.hup(3.0)
    assert word(plan.upgrade(3.0)) == "a reload is on its way"
    plan.failed(4.0, 2, "it cannot be loaded")
    assert word(plan.upgrade(4.0)) == do.Upgrade()
    plan.stop(5.0)
    assert word(plan.upgrade(5.0)) == "the fleet stops"


def test_a_fleet_inside_a_program_cannot_be_upgraded() -> None:
    plan = Plan()
    plan.start(0.0, CodeFacts(1, is_preloaded=True, can_reload=False))
    plan.born(0.0, 1, 101)
    plan.ready(0.0, 1)
    why = "SIGUSR2: no upgrade: serve() cannot run its command again"
    assert plan.upgrade(1.0) == [do.Say(logging.WARNING, why)]
