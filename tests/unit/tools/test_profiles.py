"""A profile is read as what it is, or refused."""

import pytest

from tests.support.insightfake import COLLAPSED
from waitressd.tools.failures import NoAnswerError
from waitressd.tools.profiles import check_collapsed, stacks, summary
from waitressd.tools.tables import Output


def test_where_the_time_went() -> None:
    check_collapsed(COLLAPSED.encode(), "a")
    lines = Output().parts(summary(COLLAPSED.encode()))
    assert lines[0].startswith("5.00 s of thread time")
    assert lines[2].split() == ["Of", "all", "Time", "Itself", "Function"]
    assert "  86 %  4.30 s    86 %  shop.reports:totals" in lines
    assert " 100 %  5.00 s     0 %  pyramid.router:Router.__call__" in lines
    assert lines[-1] == "(498 samples in 5.002 s)"


def test_a_function_counts_once_for_a_stack_whatever_its_lines() -> None:
    lines = Output().parts(summary(b"/;a:f:1;a:f:2;a:f:1 2000000\n/;a:f:9 2000000\n"))
    assert lines[-1].split() == ["100", "%", "4.00", "s", "100", "%", "a:f"]


def test_nothing_was_sampled() -> None:
    check_collapsed(b"", "a")
    assert Output().parts(summary(b"")) == ["no thread had a request meanwhile"]
    remark = b"(90 samples in 1.000 s) 0\n"
    assert Output().parts(summary(remark)) == ["no thread had a request meanwhile", "(90 samples in 1.000 s)"]


def test_names_may_have_blanks() -> None:
    assert list(stacks(b"GET /a b;m:<listcomp> x:1 3000000\n")) == [(["GET /a b", "m:<listcomp> x:1"], 3.0)]


@pytest.mark.parametrize("data", [b"<html>", b"{}", b"a;b nan\n", b"a;b -1\n", b"1.0\n", b"\xff\xfe"])
def test_what_is_no_profile(data: bytes) -> None:
    with pytest.raises(NoAnswerError, match="a: the answer is no profile"):
        check_collapsed(data, "a")
