"""Where something listens, in the forms that people and programs use."""

from pathlib import Path

from waitressd.listening import Listening
from waitressd.net.listener import HTTPS, open_tcp, open_unix


def test_addresses(tmp_path: Path) -> None:
    listening = Listening()
    listening._listeners = [*open_tcp("127.0.0.1", 0, 8), open_unix(f"{tmp_path}/a", 8, mode=0o600)]
    port = listening.effective_port
    try:
        assert listening.getsockname() == ("127.0.0.1", port)
        assert listening.effective_listen == [("127.0.0.1", port), ("unix", f"{tmp_path}/a")]
        assert listening.effective_host == "127.0.0.1"
        listening._listeners[0].service = HTTPS
        assert listening.announce("http://{}:{}") == [f"https://127.0.0.1:{port}", f"http://unix:{tmp_path}/a"]
    finally:
        for listener in listening._listeners:
            listener.close()
