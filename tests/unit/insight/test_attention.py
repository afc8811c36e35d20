"""The switch interval is shorter while somebody watches, and is nobody's business otherwise."""

import sys
from collections.abc import Iterator

import pytest

from waitressd.insight.attention import NEVER, WATCHING_SECONDS, Attention


@pytest.fixture(autouse=True)
def interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield
    sys.setswitchinterval(before)


def test_it_is_short_as_long_as_somebody_asks() -> None:
    attention = Attention()
    attention.attract(100.0)
    assert sys.getswitchinterval() == pytest.approx(0.001)
    attention.attract(104.0)
    attention.look(104.0 + WATCHING_SECONDS - 0.1)
    assert sys.getswitchinterval() == pytest.approx(0.001)
    attention.look(104.0 + WATCHING_SECONDS)
    assert sys.getswitchinterval() == pytest.approx(0.005)
    assert attention.due == NEVER


def test_it_ends_with_the_server() -> None:
    attention = Attention()
    attention.attract(100.0)
    attention.end()
    attention.end()
    assert sys.getswitchinterval() == pytest.approx(0.005)


def test_a_program_keeps_its_own() -> None:
    attention = Attention()
    sys.setswitchinterval(0.002)
    attention.attract(100.0)
    assert sys.getswitchinterval() == pytest.approx(0.002)
    sys.setswitchinterval(0.005)
    attention.attract(100.0)
    sys.setswitchinterval(0.003)
    attention.end()
    assert sys.getswitchinterval() == pytest.approx(0.003)
