"""One question gets one answer in time, or a sentence that says why there is none and what to do."""

import socket
import sys
import time
from pathlib import Path

import pytest

from tests.support.hostile import HOSTILE, Behaviour, answering, hostile_server
from tests.support.insightfake import InsightFake, in_json, insight_fake
from waitressd.tools.client import Client, Question
from waitressd.tools.failures import NoAnswerError
from waitressd.tools.target import Target, Tokens, Words, find_target

READY = Question("/ready")


def client_of(address: str, tokens: Tokens | None = None, timeout_seconds: float = 2.0) -> Client:
    return Client(Target(find_target(Words(address), {}).address, tokens or Tokens()), timeout_seconds)


def failure(client: Client, question: Question = READY) -> NoAnswerError:
    with pytest.raises(NoAnswerError) as caught:
        client.ask_document(question)
    text = str(caught.value)
    assert text.startswith(str(client.target))
    assert text.isprintable()
    return caught.value


def test_a_question_and_its_answer() -> None:
    with insight_fake() as fake:
        question = Question("/requests", {"route": "/a b&c=\udcff", "stack": "1"})
        _, document = client_of(fake.address).ask_document(question)
        assert document.text("server") == "shop"
        asked = fake.asked[0]
        assert (asked.method, asked.path) == ("GET", "/requests")
        assert asked.parameters["route"] == "/a b&c=\ufffd"
        assert asked.fields["host"] == fake.address
        assert "authorization" not in asked.fields
        assert "x-waitressd-control" not in asked.fields


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="the system has no Unix sockets")
def test_a_unix_socket(tmp_path: Path) -> None:
    with insight_fake(tmp_path / "a.sock") as fake:
        client_of(fake.address).ask_document(READY)
        assert fake.asked[0].fields["host"] == "localhost"


@pytest.mark.parametrize(
    ("tokens", "for_reading", "for_control"),
    [(Tokens("aa", "bb"), "aa", "bb"), (Tokens("aa"), "aa", "aa"), (Tokens("", "bb"), "bb", "bb")],
)
def test_each_right_has_its_token(tokens: Tokens, for_reading: str, for_control: str) -> None:
    with insight_fake() as fake:
        client = client_of(fake.address, tokens)
        client.ask(READY)
        client.ask(Question("/control/drain", changes=True, expected=(202,)))
        assert [asked.fields["authorization"] for asked in fake.asked] == [
            f"Bearer {for_reading}",
            f"Bearer {for_control}",
        ]
        assert [asked.method for asked in fake.asked] == ["GET", "POST"]
        assert fake.asked[1].fields["x-waitressd-control"] == "1"


@pytest.mark.parametrize(("behaviour", "says"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_answer_says_why(behaviour: Behaviour, says: str) -> None:
    with hostile_server(behaviour) as address:
        client = client_of(address, timeout_seconds=20 if says.endswith("64 MB") else 0.5)
        if says == "is not what":  # that is for who knows what was asked
            client.ask_document(READY)
        else:
            assert says in str(failure(client))


def test_the_whole_answer_has_one_deadline() -> None:
    """A server that sends a byte now and then does not hold a command any longer than one that is silent."""
    for name in ("silent", "dripping"):
        with hostile_server(HOSTILE[name][0]) as address:
            began = time.monotonic()
            failure(client_of(address, timeout_seconds=0.2))
            assert 0.2 <= time.monotonic() - began < 10


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_nobody_is_there() -> None:
    found = failure(client_of(f"127.0.0.1:{free_port()}"))
    assert "onnection refused; is the server running" in str(found)
    assert found.may_pass
    assert "onnection refused" in str(failure(client_of(f"localhost:{free_port()}")))


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no Unix sockets")
def test_no_unix_socket(tmp_path: Path) -> None:
    found = failure(client_of(f"unix:{tmp_path}/a.sock"))
    assert "there is no such socket; is the server running" in str(found)
    assert found.may_pass
    (tmp_path / "a.sock").touch()
    assert "onnection refused" in str(failure(client_of(f"unix:{tmp_path}/a.sock")))


def test_a_name_that_is_none() -> None:
    found = failure(client_of("no-such-host.invalid:80", timeout_seconds=10))
    assert "the name cannot be resolved" in str(found) or "no answer within" in str(found)
    assert found.may_pass


def said(fake: InsightFake, client: Client, status: int, **document: str) -> NoAnswerError:
    fake.documents["/ready"] = lambda _: in_json(document, status)
    return failure(client)


def test_a_refusal_says_what_to_do() -> None:
    with insight_fake() as fake:
        client = client_of(fake.address)
        assert "a token is needed; name the file with the token: --token-file FILE" in str(
            said(fake, client, 401, error="a token is needed", setting="admin_token_file")
        )
        found = said(fake, client, 403, error="this Host is not known", setting="admin_hosts")
        assert "this Host is not known; add 127.0.0.1 to admin_hosts, or ask its IP address" in str(found)
        assert not found.may_pass
        found = said(fake, client, 404, error="there is no /ready", setting="admin_expose")
        assert str(found).endswith("there is no /ready; see admin_expose")
        found = said(fake, client, 403, error="admin_control does not list this.", setting="admin_control")
        assert str(found).endswith(": admin_control does not list this")
        assert said(fake, client, 500, error="x").may_pass
        with_token = client_of(fake.address, Tokens("aa"))
        assert "no longer) one of the server's" in str(said(fake, with_token, 401, error="no"))
        unreadable = client_of(fake.address, Tokens(trouble="token file a: Permission denied"))
        assert str(said(fake, unreadable, 401, error="no")).endswith("no; token file a: Permission denied")


def test_what_a_server_says_is_shown_as_text() -> None:
    with hostile_server(answering(b'{"error": "\\u001b]0;x\\u0007\\u202e' + b"x" * 2000 + b'"}', "400 No")) as address:
        assert len(str(failure(client_of(address)))) < 600
