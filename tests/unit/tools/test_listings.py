"""The commands that print tables: what they ask for, and which status they end with."""

import json
from pathlib import Path

import pytest

from tests.support.insightfake import HEAD, InsightFake, in_json, requests_document
from tests.unit.tools.test_commands import LISTS, fake, ran

__all__ = ["fake"]  # a fixture


@pytest.mark.parametrize("name", LISTS)
def test_json_is_what_the_server_sent(name: str, fake: InsightFake, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = ran(capsys, name, "--json")
    assert (status, err) == (0, "")
    asked = fake.asked[-1]
    assert out.encode() == fake.documents[asked.path](asked).body + b"\n"


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
    fake.documents["/requests/1-2-3"] = lambda _: in_json({"error": "not here", "setting": "admin_expose"}, 404)
    status, out, err = ran(capsys, "requests", "1-2-3")
    assert (status, out) == (3, "")
    assert err.endswith("/requests is not shown there; see admin_expose\n")


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


def test_the_ids_are_those_of_the_document(fake: InsightFake, capsys: pytest.CaptureFixture[str]) -> None:
    out = ran(capsys, "requests")[1]
    for row in requests_document({})["requests"]:
        assert row["id"] in out.split()
