"""What a job without a channel does."""

from waitressd.dispatch.callback import Callback
from waitressd.http.errors import HttpError


def test_a_callback_is_called_once_and_has_nothing_to_bring_back() -> None:
    called: list[str] = []
    job = Callback(lambda: called.append("one"), called.append, 0.0)
    job.wait()
    job.queue()
    assert not job.refuse(HttpError(503, "No thread was free."))  # sooner or later it must be called
    job.begin()
    assert called == []
    job.run()
    job.settle()
    assert job.settle_aside()
    job.close()
    assert (job.describe(), job.whose()) == ("a callback", "-")
    assert called == ["one"]


def test_what_it_raises_is_told() -> None:
    told: list[str] = []
    Callback(lambda: 1 // 0, told.append, 0.0).run()
    assert told == ["a callback failed"]
