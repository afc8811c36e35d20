"""Only time off the CPU counts as blocking, and of that only what a task has chosen itself."""

from waitressd.dispatch.blocking import HAND_OVER_SHARE, REVIEW_REST, REVIEW_TASKS, SAMPLE, UNCOUNTED, BlockingShare

FAST = 0.00001


class Thread:
    """One thread, whose tasks compute, sleep, and wait for a processor or for the GIL."""

    def __init__(self) -> None:
        self.now = self.cpu = 1.0
        self.pauses = 1
        self.asked = 0
        self.measured = 0
        self.blocking = BlockingShare(self._measure, self._ask)

    def _measure(self) -> float:
        self.measured += 1
        return self.cpu

    def _ask(self) -> int:
        self.asked += 1
        return self.pauses

    @property
    def hands_over(self) -> bool:
        return self.blocking.share > HAND_OVER_SHARE

    def run(self, off: float, *, burns: float = 0.0, delay: float = 0.0, is_alone: bool = True, sends: int = 1) -> None:
        """Run a task with the role: it computes, is delayed by others on the machine, and is off the CPU besides."""
        self.blocking.note()
        cpu_started = self.blocking.started(self.now)
        self.cpu += burns
        self.pauses += off > 0
        self.now += off + burns + delay
        self.blocking.ended(off + burns + delay, cpu_started, is_alone=is_alone, sends=sends)

    def run_aside(self, off: float, *, burns: float = 0.0, delay: float = 0.0, sends: int = 1) -> None:
        """The same without the role."""
        self.blocking.note()
        cpu_started = self.blocking.started_aside(self.now)
        self.cpu += burns
        self.pauses += off > 0
        if cpu_started != UNCOUNTED:
            self.blocking.ended_aside(off + burns + delay, cpu_started, sends=sends)


def blocked() -> Thread:
    """Return a thread whose tasks have blocked until the role is given away before each."""
    thread = Thread()
    for _ in range(20):
        thread.run(0.001)
    assert thread.hands_over
    return thread


def test_tasks_that_compute_never_do() -> None:
    thread = Thread()
    for _ in range(40):
        thread.run(0.0, burns=0.001)
        assert not thread.hands_over


def test_one_slow_task_in_a_hundred_does_not() -> None:
    thread = Thread()
    for number in range(1000):
        thread.run(0.05 if number % 100 == 0 else FAST)
        assert not thread.hands_over


def test_tasks_that_a_busy_machine_delays_do_not() -> None:
    thread = Thread()
    for _ in range(200):
        thread.run(0.0, burns=0.0003, delay=0.004)
        thread.run_aside(0.0, burns=0.006, delay=0.004)  # its role was taken meanwhile
        assert not thread.hands_over


def test_tasks_that_wait_do_although_the_machine_is_busy() -> None:
    for run in (Thread.run, Thread.run_aside):
        thread = Thread()
        for _ in range(20):
            run(thread, 0.010, burns=0.0001, delay=0.001)
        assert thread.hands_over


def test_streams_that_take_the_gil_from_each_other_do_not() -> None:
    for run in (Thread.run, Thread.run_aside):
        thread = Thread()
        for _ in range(200):
            run(thread, 200 * 0.0001, burns=0.001, sends=200)
            assert not thread.hands_over
        thread = blocked()
        for _ in range(100 * SAMPLE):
            run(thread, 200 * 0.0001, burns=0.001, sends=200)
        assert not thread.hands_over


def test_streams_that_wait_for_each_of_their_blocks_do() -> None:
    for run in (Thread.run, Thread.run_aside):
        thread = Thread()
        for _ in range(20):
            run(thread, 200 * 0.001, burns=0.001, sends=200)
        assert thread.hands_over


def test_the_kernel_is_not_asked_where_there_is_no_doubt() -> None:
    thread = Thread()
    for _ in range(100):
        thread.run(FAST)
    assert thread.asked == 0
    thread = blocked()
    asked = thread.asked
    for _ in range(100):
        thread.run_aside(0.001)
    assert thread.asked == asked


def test_slow_tasks_say_nothing_while_others_run_beside_them() -> None:
    thread = Thread()
    for _ in range(100):
        thread.run(0.005, is_alone=False)
    assert thread.blocking.share == 0.0


def test_what_fights_for_the_gil_is_found_out_in_the_end() -> None:
    thread = blocked()
    for _ in range(REVIEW_TASKS):
        thread.run_aside(0.003, burns=0.001)
    assert not thread.hands_over
    for _ in range(200):  # some end that ran side by side, and those that have begun since run alone
        thread.run_aside(0.003, burns=0.001)
        thread.run(0.0, burns=0.001)
        assert not thread.hands_over
    assert thread.blocking.share < HAND_OVER_SHARE / 2


def test_what_blocks_is_soon_side_by_side_again_after_it_was_looked_at() -> None:
    for run in (Thread.run, Thread.run_aside):
        thread = blocked()
        while thread.hands_over:
            thread.run_aside(0.010, burns=0.0001)
        for _ in range(REVIEW_REST):
            thread.run_aside(0.010, burns=0.0001)
        assert not thread.hands_over
        run(thread, 0.010, burns=0.0001)
        assert thread.hands_over


def test_fast_tasks_bring_the_share_down_to_nothing_and_nothing_is_measured_then() -> None:
    for run in (Thread.run, Thread.run_aside):
        thread = blocked()
        for _ in range(400 + 60 * SAMPLE):
            run(thread, FAST)
        assert thread.blocking.share == 0.0
        assert thread.blocking.started(thread.now) == thread.blocking.started_aside(thread.now) == 0.0


def test_one_of_eight_tasks_is_measured_where_most_block() -> None:
    thread = blocked()
    measured = thread.measured
    for _ in range(SAMPLE * 10):
        thread.run_aside(0.001)
    assert thread.measured == measured + 2 * 10
    assert thread.hands_over


def test_a_task_that_is_not_measured_changes_nothing() -> None:
    thread = blocked()
    while thread.blocking.started_aside(thread.now) == UNCOUNTED:
        pass
    share = thread.blocking.share
    for _ in range(SAMPLE - 1):
        thread.run_aside(FAST)
        assert thread.blocking.share == share
    thread.run_aside(FAST)
    assert thread.blocking.share < share


def test_quick_tasks_of_one_turn_are_measured_together() -> None:
    thread = Thread()
    thread.run(0.05)
    measured = thread.measured
    thread.blocking.note()
    for number in range(20):
        thread.blocking.started(thread.now + number * FAST)
    assert thread.measured == measured + 2
    thread.blocking.note()  # another thread may have the role now
    thread.blocking.started(thread.now)
    assert thread.measured == measured + 3


def test_tasks_that_block_crowd_when_they_come_fast_and_until_they_come_slowly() -> None:
    thread = blocked()
    assert not thread.blocking.is_crowded  # nothing is known yet
    for seconds, is_crowded in ((0.0001, True), (0.001, False), (0.0001, True)):
        for _ in range(SAMPLE * 20):
            thread.run_aside(0.001)
            thread.now += seconds
        assert thread.blocking.is_crowded is is_crowded


def test_tasks_that_do_not_block_never_crowd() -> None:
    thread = Thread()
    thread.blocking.pace = 0.0
    assert not thread.blocking.is_crowded
