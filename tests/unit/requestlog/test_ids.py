"""Request ids and trace contexts: what is taken, what is made."""

import os
import random

import pytest

from waitressd.requestlog.ids import STOCK, is_request_id, is_traceparent, make_ids

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_made_ids_are_valid_and_never_the_same() -> None:
    made = [make_ids() for _ in range(3 * STOCK)]
    assert len({request_id for request_id, _ in made}) == len(made)
    for request_id, traceparent in made:
        assert is_request_id(request_id)
        assert is_traceparent(traceparent)
        assert traceparent.split("-")[1] == request_id
        assert traceparent.endswith("-00")


def test_seeding_the_random_module_does_not_repeat_them() -> None:
    random.seed(1)
    first = [make_ids() for _ in range(2 * STOCK)]
    random.seed(1)
    assert not set(first) & {make_ids() for _ in range(2 * STOCK)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_does_not_repeat_its_parents_ids() -> None:
    make_ids()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, make_ids()[0].encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 100).decode()
    os.close(reader)
    os.close(writer)
    assert theirs not in {make_ids()[0] for _ in range(2 * STOCK)}


@pytest.mark.parametrize("text", ["a", "0af7-6519", "a" * 128, "user@host:1/x=+.~_"])
def test_a_request_id(text: str) -> None:
    assert is_request_id(text)


@pytest.mark.parametrize("text", ["", "a" * 129, "a b", 'a"', "a\n", "é", "a,b", "a\\"])
def test_no_request_id(text: str) -> None:
    assert not is_request_id(text)


@pytest.mark.parametrize("text", [GOOD, GOOD[:-2] + "00", "01" + GOOD[2:] + "-more", "cc" + GOOD[2:]])
def test_a_traceparent(text: str) -> None:
    assert is_traceparent(text)


@pytest.mark.parametrize(
    "text",
    ["", GOOD.upper(), "ff" + GOOD[2:], GOOD + "-more", GOOD[:-1], GOOD + "\n", "00-" + "0" * 32 + GOOD[35:],
     GOOD[:36] + "0" * 16 + GOOD[52:], "01" + GOOD[2:] + "more"],
)  # fmt: skip
def test_no_traceparent(text: str) -> None:
    assert not is_traceparent(text)
