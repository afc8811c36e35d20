"""The statuses are what scripts rely on."""

from waitressd.tools.failures import NO, NO_ANSWER, USAGE, YES, NoAnswerError


def test_the_statuses() -> None:
    assert (YES, NO, USAGE, NO_ANSWER) == (0, 1, 2, 3)


def test_a_failure_says_whether_it_may_pass() -> None:
    assert not NoAnswerError("a").may_pass
    assert NoAnswerError("a", may_pass=True).may_pass
    assert str(NoAnswerError("a")) == "a"
