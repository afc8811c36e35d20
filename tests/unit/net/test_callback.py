"""What a job without a channel does."""

from waitressd.net.callback import Callback


def test_a_callback_is_called_once_and_has_nothing_to_bring_back() -> None:
    called: list[str] = []
    job = Callback(lambda: called.append("one"), called.append)
    job.begin()
    assert called == []
    job.run()
    job.settle()
    assert job.settle_aside()
    assert called == ["one"]


def test_what_it_raises_is_told() -> None:
    told: list[str] = []
    Callback(lambda: 1 // 0, told.append).run()
    assert told == ["a callback failed"]
