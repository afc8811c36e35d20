"""What insight sees of a server."""

from tests.apps.plain import hello
from waitressd import create_server
from waitressd.insight.view import LIFE_WORDS, ServerView
from waitressd.life import Life


def test_every_life_has_a_word() -> None:
    assert set(LIFE_WORDS) == set(Life)


def test_a_server_is_seen_before_it_runs() -> None:
    server = create_server(hello, listen="127.0.0.1:0")
    view: ServerView = server
    assert (view.life, view.lanes, view.pulse) == (Life.LISTENING, (), None)
    server.close()
    assert view.life is Life.STOPPED
