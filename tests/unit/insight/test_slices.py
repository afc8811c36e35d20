"""Long work in short slices."""

from waitressd.insight.slices import SLICE_SECONDS, Steps, Stopwatch, finish, padded


def count_to(number: int) -> Steps[int]:
    """Pause after each."""
    for _ in range(number):
        yield
    return number


def test_the_result_comes_with_and_without_pauses() -> None:
    pauses: list[float] = []
    assert finish(count_to(3)) == 3
    assert finish(count_to(3), pause=pauses.append) == 3
    assert len(pauses) == 3
    assert finish(count_to(0)) == 0


def test_each_pause_of_a_document_is_an_empty_piece() -> None:
    def document() -> Steps[None]:
        assert (yield from padded(count_to(2))) == 2  # type: ignore[misc]  # pieces are bytes

    assert list(document()) == [b"", b""]


def test_a_stopwatch_rings_when_the_slice_is_over_and_until_it_is_restarted() -> None:
    now = 100.0
    watch = Stopwatch(clock=lambda: now)
    assert not watch.rings()
    now += SLICE_SECONDS / 2
    assert not watch.rings()
    now += SLICE_SECONDS
    assert [watch.rings(), watch.rings()] == [True, True]
    watch.restart()
    assert not watch.rings()
