"""Each command asks, prints, and ends with the status that scripts look at."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from tests.support.hostile import HOSTILE, Behaviour, answering, hostile_server
from tests.support.insightfake import HEAD, InsightFake, in_json, insight_fake, requests_document
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


@pytest.mark.parametrize("name", LISTS)
def test_json_is_what_the_server_sent(name: str, fake: InsightFake, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = ran(capsys, name, "--json")
    assert (status, err) == (0, "")
    asked = fake.asked[-1]
    assert out.encode() == fake.documents[asked.path](asked).body + b"\n"


@pytest.mark.parametrize("name", [*LISTS, "live", "ready", "drain", "profile", "top"])
def test_each_prints_text(name: str, fake: InsightFake, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = ran(capsys, name)
    assert (status, err) == (0, "")
    assert out.endswith("\n")
    assert "\x1b" not in out


def test_what_chooses_is_passed_on(fake: InsightFake, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--phase=queued", "--route=/a b", "--older=2m", "--worker=2", "--limit=5", "--stack", "--group"]
    assert ran(capsys, "requests", *arguments)[0] == 0
    assert fake.asked[-1].parameters == {
        "phase": "queued", "route": "/a b", "older": "120", "worker": "2", "limit": "5", "stack": "1", "group": "1",
    }  # fmt: skip
    ran(capsys, "connections", "--state=idle", "--client=10.0.0.1", "--offset=20")
    assert fake.asked[-1].parameters == {"state": "idle", "client": "10.0.0.1", "offset": "20"}
    ran(capsys, "stats", "--window=300")
    assert fake.asked[-1].parameters == {"window": "300"}
    ran(capsys, "slow", "--stack")
    assert fake.asked[-1].parameters == {}


def test_nothing_found(fake: InsightFake, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(capsys, "requests", "--older=100")[0] == 0
    assert ran(capsys, "requests", "--older=100", "--fail-empty") == (1, "no requests in flight\n", "")
    assert ran(capsys, "requests", "--older=40", "--fail-empty")[0] == 0
    fake.documents["/slow"] = lambda _: in_json({**HEAD, "slow": [], "failed": []})
    assert ran(capsys, "slow", "--fail-empty", "--json")[0] == 1


def test_one_request(fake: InsightFake, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = ran(capsys, "requests", "1-88102-14")
    assert status == 0
    assert "> shop/reports.py:214" in out
    status, out, _ = ran(capsys, "requests", "1-88102-14", "--json")
    assert json.loads(out)["id"] == "1-88102-14"
    fake.documents["/requests/1-2-3"] = lambda _: in_json({"error": "no such request"}, 404)
    assert ran(capsys, "requests", "1-2-3") == (1, "no request 1-2-3 is in flight\n", "")


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


# ---- profiles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "form"),
    [
        (["-o", "a.speedscope.json"], "speedscope"),
        (["-o", "a.txt"], "collapsed"),
        (["-o", "a.json", "--format=collapsed"], "collapsed"),
        (["--format=speedscope", "-o", "a.txt"], "speedscope"),
    ],
)
def test_a_profile_in_a_file(
    arguments: list[str], form: str, fake: InsightFake, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert ran(capsys, "profile", "2", "--rate=50", "--threads=all", *arguments) == (0, "", "")
    assert fake.asked[-1].parameters == {"seconds": "2", "rate": "50", "threads": "all", "format": form}
    data = next(tmp_path.iterdir()).read_text(encoding="utf-8")
    assert data.startswith('{"$schema"') == (form == "speedscope")


def test_a_profile_for_a_pipe(fake: InsightFake, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(capsys, "profile")[1].startswith("/reports/{name};pyramid.router:Router")
    assert "$schema" in json.loads(ran(capsys, "profile", "--json")[1])


def test_no_profile(fake: InsightFake, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, _, err = ran(capsys, "profile", "-o", str(tmp_path / "gone" / "a.txt"))
    assert (status, fake.asked) == (2, [])
    assert "there is no folder" in err
    assert ran(capsys, "profile", "-o", str(tmp_path))[0] == 2
    fake.documents["/profile"] = lambda _: in_json({"error": "one runs"}, 409)
    status, out, _ = ran(capsys, "profile")
    assert (status, out) == (1, "another profile is being taken; ask again when it is done\n")


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


def test_the_ids_are_those_of_the_document(fake: InsightFake, capsys: pytest.CaptureFixture[str]) -> None:
    out = ran(capsys, "requests")[1]
    for row in requests_document({})["requests"]:
        assert row["id"] in out.split()
