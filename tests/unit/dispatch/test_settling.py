"""Whatever comes back is settled once, and a defect in it costs that one alone."""

import pytest

from waitressd.dispatch.settling import Settling


class Returned:
    """Something that comes back, and may fail."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.steps: list[str] = []

    def settle(self) -> None:
        """Count it."""
        self.steps.append("settle")
        if self.fails:
            raise RuntimeError("planted")

    def close(self) -> None:
        """Count it."""
        self.steps.append("close")


def test_a_defect_costs_the_one_that_has_it(caplog: pytest.LogCaptureFixture) -> None:
    settling = Settling()
    parts = [Returned(), Returned(fails=True), Returned()]
    settling.waiting.extend(parts)
    settling.settle_last()
    assert [part.steps for part in parts] == [["settle"], ["settle", "close"], ["settle"]]
    assert "settling a request failed" in caplog.text
    settling.settle_last()
    assert not settling.waiting
