"""Work that pauses."""

from waitressd.metrics.pauses import Steps, finish


def test_it_is_done_to_its_end() -> None:
    def work() -> Steps[int]:
        for _ in range(3):
            yield
        return 7

    assert finish(work()) == 7
