"""The random steps, for a short time."""

from pathlib import Path

import pytest

from tests.fleet.stress import Plan, run
from tests.support.fleets import needs_a_fleet

pytestmark = needs_a_fleet


@pytest.mark.timeout(180)
@pytest.mark.parametrize("preload", ["on", "off"])
def test_random_steps_lose_nothing(preload: str, tmp_path: Path) -> None:
    report = run(Plan(8, seed=1, preload=preload), tmp_path)
    assert report.trouble == [], report
    assert report.steps
