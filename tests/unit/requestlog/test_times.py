"""Times in logs."""

import re
import time
from collections.abc import Iterator

import pytest

from waitressd.requestlog import times


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    times._clf = (-1, "")
    yield
    monkeypatch.undo()
    time.tzset()
    times._clf = (-1, "")


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", "14/Nov/2023:22:13:20 +0000"),
        ("XYZ-5:30", "15/Nov/2023:03:43:20 +0530"),
        ("XYZ+3:30", "14/Nov/2023:18:43:20 -0330"),
    ],
    indirect=["zone"],
)
@pytest.mark.usefixtures("zone")
def test_clf_time(expected: str) -> None:
    assert times.clf_time(1_700_000_000.9) == expected
    assert times.clf_time(1_700_000_000.1) == expected
    assert times.clf_time(1_700_000_001.0) != expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [(1_700_000_000.25, "2023-11-14T22:13:20.250000Z"), (1_700_000_000.0, "2023-11-14T22:13:20.000000Z")],
)
def test_iso_time(moment: float, expected: str) -> None:
    assert times.iso_time(moment) == expected


def test_clock_time() -> None:
    assert re.fullmatch(r"\d\d:\d\d:20", times.clock_time(1_700_000_000.5))
