"""Which code follows which, what is refused, and which way leads back."""

import pytest

from tests.support.fleetstory import Story
from waitressd.fleet import actions as do
from waitressd.fleet.states import RollStage


def refused(story: Story, how: str) -> None:
    """Ask for a reload that comes to nothing."""
    story.tell("hup")
    (load,) = story.of(do.LoadCode)
    if how == "dies":
        story.tell("template_died", load.code, "ImportError: No module named shop")
    elif how == "hangs":
        story.wait(61)
    elif how == "cannot bind":
        story.tell("hello", load.code, story.facts)
        story.tell("failed", load.code, "address in use")
    else:
        story.tell("failed", load.code, "it speaks another protocol")


@pytest.mark.parametrize("how", ["dies", "hangs", "cannot bind", "is strange"])
def test_what_does_not_load_is_refused_and_the_next_reload_works(how: str) -> None:
    story = Story(2)
    story.serve()
    refused(story, how)
    assert sum("reload refused" in line for line in story.lines) == 1
    assert story.stages() == {1: "SERVING", 2: "SERVING"}
    assert isinstance(story.status, do.Serving)
    assert "generation 1; the last reload was refused: " in story.status.status
    story.load(3)
    story.roll()
    assert story.lines[-1] == "INFO: reload done: generation 2 serves with 2 workers"
    assert story.status == do.Serving("with 2 of 2 workers, generation 2")


def test_a_load_that_hangs_ends_with_stacks() -> None:
    story = Story(1)
    story.serve()
    story.tell("hup")
    assert do.KillCode(2, with_stacks=True) in story.wait(61)


def test_a_second_signal_during_a_reload_is_remembered_once() -> None:
    story = Story(1)
    story.serve()
    story.load(2)
    for _ in range(3):
        assert story.tell("hup")[0] == do.ReopenLogs()
        assert story.lines[-1] == "INFO: SIGHUP: another reload follows the one that is on its way"
    story.ready(2)
    story.finish(1)
    assert story.of(do.LoadCode) == [do.LoadCode(3)]
    # Who waits for the first reload sees its end.
    assert [type(action) for action in story.last] == [
        *(do.KeepAddresses, do.Say, do.Serving, do.Say, do.LoadCode, do.Reloading)
    ]
    story.tell("template_died", 3, "status 1")
    assert story.of(do.LoadCode) == []


def test_a_signal_during_a_load_begins_another_one_after_its_refusal() -> None:
    story = Story(1)
    story.serve()
    story.tell("hup")
    story.tell("hup")
    assert do.LoadCode(3) in story.tell("template_died", 2, "status 1")


def test_code_on_trial_may_be_followed_at_once() -> None:
    story = Story(1)
    story.serve()
    story.load(2)
    story.roll()
    story.tell("hup")
    assert story.of(do.LoadCode) == [do.LoadCode(3)]
    assert story.of(do.QuitCode) == []  # it may be refused yet
    story.tell("hello", 3, story.facts)
    story.tell("bound", 3)
    assert story.of(do.QuitCode) == [do.QuitCode(1)]
    assert story.plan.succession.former is story.plan.succession.codes[2]


def test_two_deaths_of_new_workers_bring_the_old_code_back() -> None:
    story = Story(2)
    story.serve()
    story.load(2)
    story.roll()
    story.wait(5)
    first, second = (worker.number for worker in story.plan.crew)
    story.die(first)
    assert story.of(do.Spawn)[0].code == 2
    story.boot_all()
    story.die(second)
    assert story.of(do.Spawn)[0].code == 1
    assert story.of(do.QuitCode) == [do.QuitCode(2)]
    assert story.lines[-1] == (
        "ERROR: generation 2 has failed: 2 of its workers died; rolling back to generation 1"
    )  # fmt: skip
    story.roll()
    assert story.lines[-1] == "INFO: rolled back: generation 1 serves with 2 workers"
    assert isinstance(story.status, do.Serving)
    assert story.status.status.endswith("generation 1; generation 2 was rolled back: 2 of its workers died")
    story.load(3)
    story.roll()
    assert story.lines[-1] == "INFO: reload done: generation 3 serves with 2 workers"


def test_one_new_worker_that_does_not_start_is_enough() -> None:
    story = Story(2)
    story.serve()
    story.load(2)
    story.die(story.newborn[0].worker, "status 1")
    assert story.plan.succession.roll is RollStage.QUIET  # nobody was replaced yet
    assert story.lines[-1] == "INFO: rolled back: generation 1 serves with 2 workers"
    assert story.stages() == {1: "SERVING", 2: "SERVING"}


def test_a_new_worker_that_never_is_ready_is_enough() -> None:
    story = Story(2)
    story.serve()
    story.load(2)
    story.ready(3)
    assert do.Kill(4, with_stacks=True) in story.wait(61)
    assert story.plan.succession.roll is RollStage.BACK
    story.die(4)
    story.die(1)
    story.roll()
    assert {worker.generation for worker in story.plan.crew} == {1}


def test_deaths_after_the_trial_are_replaced_by_the_same_code() -> None:
    story = Story(2)
    story.serve()
    story.load(2)
    story.roll()
    story.wait(31)
    for worker in list(story.stages()):
        story.die(worker)
        assert story.of(do.Spawn)[0].code == 2


def test_without_a_template_there_is_no_way_back_and_a_reload_repairs_at_once() -> None:
    story = Story(2, is_preloaded=False)
    story.serve()
    story.load(2, is_preloaded=False)
    story.die(story.newborn[0].worker, "status 1")
    assert story.lines[-1].endswith("no way back to generation 1: preload is off")
    story.die(story.newborn[0].worker, "status 1")
    assert "an older one keeps its place, and is tried again in 1 s" in story.lines[-1]
    assert story.newborn == []  # the place waits, and its old worker serves as long as it lives
    assert story.stages() == {1: "SERVING", 2: "SERVING"}
    assert do.Spawn(5, 1, 3) in story.load(3, is_preloaded=False)
    story.roll()
    assert story.lines[-1].startswith("INFO: reload done: generation 3")


def test_the_loss_of_the_way_back_is_said() -> None:
    story = Story(2)
    story.serve()
    story.load(2)
    story.tell("template_died", 1, "SIGKILL")
    assert story.lines[-1].endswith("died: SIGKILL; there is no way back")
    story.die(story.newborn[0].worker)
    assert story.lines[-1].endswith("no way back to generation 1: its template is gone")


def test_a_new_template_that_dies_while_workers_move_to_it_is_rolled_back() -> None:
    story = Story(2)
    story.serve()
    story.load(2)
    story.ready(3)
    story.tell("template_died", 2, "SIGKILL")
    assert story.plan.succession.roll is RollStage.BACK
    assert story.of(do.LoadCode) == []
    story.die(4)
    story.roll()
    assert {worker.generation for worker in story.plan.crew} == {1}


def test_a_new_template_that_dies_later_is_replaced_like_any_other() -> None:
    story = Story(2)
    story.serve()
    story.load(2)
    story.roll()
    assert do.LoadCode(3, stands_in_for=2) in story.tell("template_died", 2, "SIGKILL")


def test_a_template_that_cannot_be_loaded_again_is_tried_less_and_less_often() -> None:
    story = Story(1)
    story.serve()
    story.tell("template_died", 1, "SIGKILL")
    loads = []
    for _ in range(200):
        for action in story.of(do.LoadCode):
            loads.append(story.now)
            story.tell("template_died", action.code, "status 1")
        story.wait(1)
    assert len(loads) <= 9
    assert story.stages() == {1: "SERVING"}


def test_a_reload_takes_the_place_of_a_template_that_is_being_replaced() -> None:
    story = Story(1)
    story.serve()
    story.tell("template_died", 1, "SIGKILL")
    story.tell("hup")
    assert [each for each in story.last if not isinstance(each, do.Say)][:3] == [
        do.ReopenLogs(),
        do.KillCode(2),
        do.LoadCode(3),
    ]
    story.tell("template_died", 2, "SIGKILL")
    story.tell("hello", 3, story.facts)
    story.tell("bound", 3)
    story.roll()
    assert story.lines[-1] == "INFO: reload done: generation 2 serves with 1 worker"


def test_an_address_is_closed_when_the_workers_that_listened_there_are_gone() -> None:
    """Clients would wait there for nobody; the way back opens it again."""
    story = Story(1)
    story.serve()
    story.load(2)
    story.roll()
    assert story.of(do.KeepAddresses) == [do.KeepAddresses((2,))]
    closed, said = (
        next(n for n, each in enumerate(story.last) if type(each) is kind) for kind in (do.KeepAddresses, do.Say)
    )
    assert closed < said  # who reads that the reload is done finds the address closed
    story.wait(31)
    assert story.tell("template_died", 1, "status 0") == [do.KeepAddresses((2,))]


def test_a_template_that_does_not_quit_is_killed() -> None:
    story = Story(1)
    story.serve()
    story.load(2)
    story.roll()
    assert do.KillCode(1) in story.wait(36)
    story.wait(11)
    assert story.lines[-1] == "ERROR: the template of code 1 was killed and is still there"


def test_the_hazards_of_each_code_are_said_once() -> None:
    story = Story(1, is_preloaded=False)
    story.serve()
    for code, hazards in ((2, "a thread"), (3, "a thread"), (4, "a socket")):
        story.load(code, is_preloaded=False, hazards=hazards)
        story.roll()
    found = [line for line in story.lines if "preload is off" in line]
    assert found == ["WARNING: preload is off: a thread", "WARNING: preload is off: a socket"]
