"""A short run of the fuzzer, the seeds one by one, and proof that it would find something."""

from pathlib import Path

import pytest

from tests.fuzz import http as fuzzer
from tests.support.exchange import NEXT, Exchange
from waitressd.http.events import Event
from waitressd.http.reader import RequestReader

SEEDS = fuzzer.read_corpus()


@pytest.mark.parametrize("name", SEEDS)
def test_every_seed_keeps_the_laws(name: str) -> None:
    fuzzer.check(SEEDS[name], [2, 7, 64])


def test_the_seeds_reach_what_there_is() -> None:
    outcomes = [fuzzer.check(data) for data in SEEDS.values()]
    assert {seen.status for seen in outcomes} >= {None, 400, 413, 414, 417, 431, 501, 505}
    assert max(len(seen.requests) for seen in outcomes) > 2


def test_a_short_run() -> None:
    *_, (tried, kept, edges) = fuzzer.fuzz(1, lambda tried: tried >= 300)
    assert tried == 300
    assert kept >= len(SEEDS)
    assert edges > 300


def test_the_same_seed_gives_the_same_run() -> None:
    first, second = (list(fuzzer.fuzz(7, lambda tried: tried >= 60)) for _ in range(2))
    assert first == second


def test_what_breaks_a_law_is_found_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A core that loses octets between two calls is not the same for every cut."""
    monkeypatch.setattr(fuzzer, "CORPUS", tmp_path)
    (tmp_path / "seed.http").write_bytes(NEXT)
    fed = 0
    feed = RequestReader.feed

    def forgetful(self: RequestReader, data: bytes) -> None:
        nonlocal fed
        fed += 1
        feed(self, data if fed % 50 else b"")

    with monkeypatch.context() as broken, pytest.raises(fuzzer.BrokenLawError) as caught:
        broken.setattr(RequestReader, "feed", forgetful)
        list(fuzzer.fuzz(1, lambda tried: tried >= 100))
    (found,) = tmp_path.glob("found-*.http")
    assert found.name in caught.value.__notes__[0]


def test_an_exception_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fuzzer, "CORPUS", tmp_path)
    (tmp_path / "seed.http").write_bytes(NEXT)

    def broken(self: RequestReader, data: bytes = b"") -> Event:
        raise IndexError("out of range")

    with monkeypatch.context() as patched:
        read = RequestReader.next_event
        calls = iter([read] * 8)
        patched.setattr(RequestReader, "next_event", lambda self, data=b"": next(calls, broken)(self, data))
        with pytest.raises(IndexError) as caught:
            list(fuzzer.fuzz(1, lambda tried: tried >= 5))
    assert "written to" in caught.value.__notes__[0]


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzzer.main(["--runs", "20", "--seed", "3"]) == 0
    assert "tried 20, kept" in capsys.readouterr().out
    assert fuzzer.main(["--seconds", "0.05"]) == 0
    assert "every law held" in capsys.readouterr().out


def test_an_exchange_is_what_check_returns() -> None:
    assert isinstance(fuzzer.check(NEXT), Exchange)
