"""Each command asks, prints, and ends with the status that scripts look at."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from tests.support.hostile import HOSTILE, Behaviour, answering, hostile_server
from tests.support.insightfake import HEAD, InsightFake, in_json, insight_fake
from waitressd.tools.commands import run

LISTS = ["requests", "connections", "threads", "slow", "stats"]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[InsightFake]:
    with insight_fake() as fake:
        monkeypatch.setenv("WAITRESSD_ADMIN", fake.address)
        yield fake


Printed = tuple[int, str, str]


def ran(capsys: pytest.CaptureFixture[str], name: str, *arguments: str) -> Printed:
    status = run(name, arguments)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("name", [*LISTS, "live", "ready", "drain", "profile", "top"])
def test_each_prints_text(name: str, fake: InsightFake, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = ran(capsys, name)
    assert (status, err) == (0, "")
    assert out.endswith("\n")
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("name", "document", "says"),
    [
        ("ready", {"ready": False, "reason": "draining", "since_seconds": 3.2}, "not ready: draining (since 3.20 s)\n"),
        ("ready", {"ready": False, "reason": "\x1b[2J"}, "not ready: \\x1b[2J\n"),
        ("ready", {"ready": False}, "not ready: it does not say why\n"),
        ("live", {"live": False, "reason": "dispatcher", "turn_age_seconds": 12.1},
         "not live: dispatcher (no turn for 12.1 s)\n"),
    ],
)  # fmt: skip
def test_no(
    name: str, document: dict[str, Any], says: str, fake: InsightFake, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.documents[f"/{name}"] = lambda _: in_json({**HEAD, **document}, 503)
    assert ran(capsys, name) == (1, says, "")
    status, out, _ = ran(capsys, name, "--json")
    assert (status, json.loads(out)) == (1, {**HEAD, **document})


@pytest.mark.parametrize("name", ["ready", "live"])
@pytest.mark.parametrize(("status", "value"), [(200, False), (503, True), (503, None), (200, "true"), (200, 1)])
def test_an_answer_that_contradicts_itself_is_none(
    name: str, status: int, value: object, fake: InsightFake, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.documents[f"/{name}"] = lambda _: in_json({name: value}, status)
    found = ran(capsys, name)
    assert found[:2] == (3, "")
    assert "is not what" in found[2]


def test_waiting_until_it_is_ready(fake: InsightFake, capsys: pytest.CaptureFixture[str]) -> None:
    ready = fake.documents["/ready"]
    replies = [in_json({"ready": False, "reason": "starting"}, 503), in_json({"error": "oops"}, 500)]
    fake.documents["/ready"] = lambda asked: replies.pop(0) if replies else ready(asked)
    assert ran(capsys, "ready", "--wait=20") == (0, "ready\n", "")
    assert len(fake.asked) == 3


def test_waiting_in_vain(fake: InsightFake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.documents["/ready"] = lambda _: in_json({"ready": False, "reason": "starting"}, 503)
    assert ran(capsys, "ready", "--wait=300ms") == (1, "not ready: starting\n", "")
    assert len(fake.asked) >= 2
    fake.documents["/ready"] = lambda _: in_json({"error": "no"}, 403)
    asked = len(fake.asked)
    assert ran(capsys, "ready", "--wait=20")[0] == 3
    assert len(fake.asked) == asked + 1, "what does not pass is not waited for"


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no Unix sockets")
def test_waiting_for_a_server_that_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = f"unix:{tmp_path}/a.sock"
    status, out, err = ran(capsys, "ready", "--wait=300ms", address)
    assert (status, out) == (3, "")
    assert "there is no such socket" in err
    held = insight_fake(tmp_path / "a.sock")
    timer = Timer(0.3, held.__enter__)
    timer.start()
    try:
        assert ran(capsys, "ready", "--wait=20", address) == (0, "ready\n", "")
    finally:
        timer.join()
        held.__exit__(None, None, None)


def test_drain(fake: InsightFake, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(capsys, "drain") == (0, "shop finishes what it has begun, and ends\n", "")
    assert fake.asked[-1].method == "POST"
    fake.documents["/control/drain"] = lambda _: in_json({"error": "not allowed", "setting": "admin_control"}, 403)
    status, out, err = ran(capsys, "drain")
    assert (status, out) == (3, "")
    assert err.endswith("not allowed; see admin_control\n")


# ---- no answer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("behaviour", "says"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("name", ["requests", "ready", "top"])
def test_no_answer_is_status_3_and_one_line(
    name: str, behaviour: Behaviour, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "top" and says in ("is not what", "the answer is longer than 64 MB"):
        return  # it shows what it can, and asks for two documents
    with hostile_server(behaviour) as address:
        status, out, err = ran(capsys, name, f"--timeout={20 if says.endswith('64 MB') else 0.5}", address)
    assert (status, out) == (3, "")
    assert says in err
    assert err.startswith(f"waitressd {name}: 127.0.0.1:")
    assert err.count("\n") == 1
    assert err.rstrip("\n").isprintable()


def test_a_profile_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with hostile_server(answering(b"<html>")) as address:
        assert ran(capsys, "profile", "1", address)[0] == 3
        assert ran(capsys, "profile", "1", address, "--json")[0] == 3
        assert ran(capsys, "drain", address)[0] == 3


# ---- used wrongly --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*LISTS, "ready", "live", "top", "profile", "drain"])
def test_wrong_use_is_status_2(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WAITRESSD_ADMIN", raising=False)
    Path("a.ini").write_text("[server:main]\nuse = egg:waitressd\nadmin_listen = ${NO_SUCH_NAME}\n", encoding="utf-8")
    for arguments in ([], ["--nonsense"], ["gone.ini"], ["a.ini"], ["--token-file=gone", "127.0.0.1:1"]):
        status, out, err = ran(capsys, name, *arguments)
        assert (status, out) == (2, "")
        assert err.count("\n") == 1
        assert err.startswith((f"waitressd {name}: ", "a.ini:"))


@pytest.mark.parametrize("name", [*LISTS, "ready", "live", "top", "profile", "drain"])
def test_help_needs_no_server(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = ran(capsys, name, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"Usage: waitressd {name} [OPTIONS]")
