"""Where the time went: weights of stacks, and the text that viewers read."""

import json
import math
import random
from collections import Counter
from typing import Any, Final

import pytest

from tests.support.jsonschema import complaints
from waitressd.insight.samples import PIECE_ROWS, Samples, Step, as_collapsed, as_speedscope, join_speedscope

NUMBER: Final = {"type": "number"}
NUMBERS: Final = {"type": "array", "items": NUMBER}
FRAME: Final = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "file": {"type": "string"}, "line": NUMBER, "col": NUMBER},
    "required": ["name"],
    "additionalProperties": False,
}
PROFILE: Final = {
    "type": "object",
    "properties": {
        "type": {"enum": ["sampled"]},
        "name": {"type": "string"},
        "unit": {"enum": ["bytes", "microseconds", "milliseconds", "nanoseconds", "none", "seconds"]},
        "startValue": NUMBER,
        "endValue": NUMBER,
        "samples": {"type": "array", "items": NUMBERS},
        "weights": NUMBERS,
    },
    "required": ["endValue", "name", "samples", "startValue", "type", "unit", "weights"],
    "additionalProperties": False,
}
# What https://www.speedscope.app/file-format-schema.json demands of a file with such a profile, and nothing beyond it.
SPEEDSCOPE: Final = {
    "type": "object",
    "properties": {
        "$schema": {"enum": ["https://www.speedscope.app/file-format-schema.json"]},
        "shared": {
            "type": "object",
            "properties": {"frames": {"type": "array", "items": FRAME}},
            "required": ["frames"],
        },
        "profiles": {"type": "array", "items": PROFILE, "minItems": 1},
        "name": {"type": "string"},
        "activeProfileIndex": NUMBER,
        "exporter": {"type": "string"},
    },
    "required": ["$schema", "profiles", "shared"],
    "additionalProperties": False,
}


def step(name: str, line: int = 1, file: str = "shop/reports.py") -> Step:
    scope: dict[str, Any] = {}
    exec(compile(f"def {name}(): pass", file, "exec"), scope)
    return scope[name].__code__, line


def lines(samples: Samples) -> list[str]:
    return b"".join(as_collapsed(samples)).decode().splitlines()


def read_speedscope(samples: Samples) -> dict[str, Any]:
    text = b"".join(as_speedscope(samples))
    file: dict[str, Any] = json.loads(text)
    assert list(complaints(file, SPEEDSCOPE)) == []
    return file


def a_few() -> Samples:
    samples = Samples()
    call, totals, send = step("call", 7, "shop/__init__.py"), step("totals", 214), step("send", 3, "/elsewhere/mail.py")
    samples.add("/reports/{id}", [call, totals], 0.010)
    samples.add("/reports/{id}", [call, totals], 0.011)
    samples.add("/reports/{id}", [call], 0.25)
    samples.add("/mail", [call, send], 1.5)
    samples.count, samples.seconds = 98, 5.003
    return samples


def test_stacks_add_up() -> None:
    assert lines(a_few()) == [
        "/reports/{id};shop:call:7 250000",
        "/reports/{id};shop:call:7;shop.reports:totals:214 21000",
        "/mail;shop:call:7;mail:send:3 1500000",
        "(98 samples in 5.003 s) 0",
    ]


def test_the_file_of_speedscope_says_the_same() -> None:
    file = read_speedscope(a_few())
    (profile,) = file["profiles"]
    frames = [frame["name"] for frame in file["shared"]["frames"]]
    stacks = [[frames[number] for number in stack] for stack in profile["samples"]]
    assert list(zip(stacks, profile["weights"], strict=True)) == [
        (["/reports/{id}", "shop:call"], 0.25),
        (["/reports/{id}", "shop:call", "shop.reports:totals"], 0.021),
        (["/mail", "shop:call", "mail:send"], 1.5),
    ]
    assert (profile["startValue"], profile["endValue"], profile["unit"]) == (0, 1.771, "seconds")
    assert profile["name"] == "98 samples in 5.003 s"
    assert {"name": "shop.reports:totals", "file": "shop/reports.py", "line": 214} in file["shared"]["frames"]


def test_files_of_several_workers_become_one() -> None:
    other = Samples()
    other.add("/new", [step("call", 7, "shop/__init__.py")], 0.5)
    other.add("/mail", [step("call", 7, "shop/__init__.py"), step("send", 3, "/elsewhere/mail.py")], 0.25)
    other.count, other.seconds = 7, 5.0
    files = [b"".join(as_speedscope(samples)) for samples in (a_few(), other, Samples())]
    file = json.loads(b"".join(join_speedscope(files)))
    assert list(complaints(file, SPEEDSCOPE)) == []
    (profile,) = file["profiles"]
    frames = [frame["name"] for frame in file["shared"]["frames"]]
    assert len(set(frames)) == len(frames)
    found = {
        ";".join(frames[number] for number in stack): weight
        for stack, weight in zip(profile["samples"], profile["weights"], strict=True)
    }
    assert found == {
        "/reports/{id};shop:call": 0.25,
        "/reports/{id};shop:call;shop.reports:totals": 0.021,
        "/mail;shop:call;mail:send": 1.75,
        "/new;shop:call": 0.5,
    }
    assert profile["endValue"] == 2.521
    assert profile["name"] == "98 samples in 5.003 s and 7 samples in 5.000 s and 0 samples in 0.000 s"


def test_nothing_is_a_profile_as_well() -> None:
    assert lines(Samples()) == ["(0 samples in 0.000 s) 0"]
    assert read_speedscope(Samples())["profiles"][0]["samples"] == []


@pytest.mark.parametrize("most_nodes", [0, 1, 7, 100])
def test_the_tree_is_bounded_and_no_time_is_lost(most_nodes: int) -> None:
    choose = random.Random(most_nodes)
    steps = [step(f"f{number}") for number in range(20)]
    samples, total = Samples(most_nodes), 0.0
    for _ in range(500):
        weight = choose.randint(1, 9)
        samples.add(choose.choice("abc"), choose.choices(steps, k=choose.randint(0, 30)), weight)
        total += weight
    assert math.isclose(sum(weight for _, weight in samples.stacks()), total)
    frames = {tuple(stack[:depth]) for stack, _ in samples.stacks() for depth in range(1, len(stack) + 1)}
    assert len(frames) <= 2 * most_nodes + 1
    assert any("(not kept)" in line for line in lines(samples))


def test_no_name_ends_a_frame_or_a_line() -> None:
    samples = Samples()
    samples.add("/a;b\n/c 17\r\x00\udc80", [step("f", 1, "a;b\n.py")], 1.0)
    first, last = lines(samples)
    assert first == "/a b /c 17 \\udc80;a b :f:1 1000000"
    assert last.endswith(" 0")
    read_speedscope(samples)


def test_long_ones_come_in_pieces() -> None:
    samples = Samples()
    for number in range(1000):
        samples.add(f"/{number}", [step("f", number)], 1e-6 * number)
    for write in (as_collapsed, as_speedscope):
        assert max(piece.count(b"\n") for piece in write(samples)) <= PIECE_ROWS
    routes = Counter(line.partition(";")[0] for line in lines(samples)[:-1])
    assert len(routes) == 999  # what weighs nothing is left out
    assert len(read_speedscope(samples)["profiles"][0]["weights"]) == 999
