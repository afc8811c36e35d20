"""What top shows: the last answers, in the order and of the kind that was chosen, and since when there are none."""

import time

import pytest

from tests.support.hostile import HOSTILE, hostile_server
from tests.support.insightfake import in_json, insight_fake
from waitressd.tools.client import Client
from waitressd.tools.picture import Choice, Picture, Sort, look
from waitressd.tools.tables import Output
from waitressd.tools.target import Target, Words, find_target


def client_of(address: str, timeout_seconds: float = 5.0) -> Client:
    return Client(Target(find_target(Words(address), {}).address), timeout_seconds)


def ids(picture: Picture, choice: Choice) -> list[str]:
    return [item.text("id") for item in picture.chosen(choice)]


@pytest.fixture(scope="module")
def picture() -> Picture:
    with insight_fake() as fake:
        return look(client_of(fake.address), Picture())


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        (Sort.AGE, "1-88101-14"),
        (Sort.WAITED, "2-51000-1"),
        (Sort.CPU, "1-88107-14"),
        (Sort.PHASE, "1-88101-14"),
        (Sort.ROUTE, "2-51000-1"),
        (Sort.CLIENT, "1-88101-14"),
    ],
)
def test_orders(picture: Picture, sort: Sort, first: str) -> None:
    found = ids(picture, Choice(sort))
    assert found[0] == first
    assert sorted(found) == sorted(ids(picture, Choice()))


def test_filters(picture: Picture) -> None:
    assert {name[0] for name in ids(picture, Choice(worker="2"))} == {"2"}
    assert len(ids(picture, Choice(text="TOTALS"))) == 6
    assert ids(picture, Choice(text="198.51")) == ["1-88140-14"]
    assert ids(picture, Choice(text="no such")) == []
    assert str(Choice()) == ""
    assert str(Choice(Sort.CPU, "2", "a")) == "by cpu, worker 2, with 'a'"
    assert picture.workers == ["1", "2"]


def test_a_place_in_the_queue_stays_whatever_the_order(picture: Picture) -> None:
    lines = Output().table(picture.table(Choice(Sort.CLIENT)))
    assert any("2-51003-1" in line and line.endswith("4th in the queue") for line in lines)


def test_a_server_that_is_gone_keeps_its_picture(picture: Picture) -> None:
    with insight_fake() as fake:
        address = fake.address
    gone = look(client_of(address), picture)
    assert gone.requests is picture.requests
    assert gone.stats is picture.stats
    assert abs(gone.gone_at - time.time()) < 60
    lines = Output().parts(gone.heading())
    assert lines[0].startswith("shop  waitressd 2.0")
    assert lines[1].startswith("no answer since ")
    assert "onnection refused" in lines[1]
    assert look(client_of(address), gone).gone_at == gone.gone_at
    assert picture.gone() == []


def test_a_server_that_is_back_has_a_new_picture(picture: Picture) -> None:
    with insight_fake() as fake:
        back = look(client_of(fake.address), Picture(picture.stats, picture.requests, "gone", gone_at=1.0))
    assert back.trouble == ""
    assert back.gone_at == 0.0


def test_a_server_that_is_silent_is_asked_once() -> None:
    with hostile_server(HOSTILE["silent"][0]) as address:
        began = time.monotonic()
        assert look(client_of(address, 0.2), Picture()).trouble
        assert 0.2 <= time.monotonic() - began < 10


@pytest.mark.parametrize("path", ["/stats", "/requests"])
def test_what_is_not_shown_there_is_said(path: str) -> None:
    with insight_fake() as fake:
        fake.documents[path] = lambda _: in_json({"error": f"there is no {path}", "setting": "admin_expose"}, 404)
        found = look(client_of(fake.address), Picture())
        assert not found.trouble
        lines = Output().parts(found.heading())
        assert lines[0].startswith("shop")
        assert any(line.endswith(f"there is no {path}; see admin_expose") for line in lines)
        for other in ("/stats", "/requests"):
            fake.documents[other] = lambda _: in_json({"error": "no"}, 404)
        assert look(client_of(fake.address), Picture()).trouble
