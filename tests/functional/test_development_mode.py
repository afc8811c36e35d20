"""Under `python -X dev` nothing is left open and nothing warns."""

import sys

from tests.support.servers import server_process

COMMAND = (sys.executable, "-X", "dev", "-W", "error", "-m", "waitressd")


def test_no_warning_in_the_life_of_a_server() -> None:
    arguments = ["--listen=127.0.0.1:0", "--inbuf-overflow=1000", "tests.apps.plain:mirror"]
    with server_process(arguments, command=COMMAND) as server:
        with server.connect() as client:
            assert client.get("/").status == 200
            body = b"x" * 100_000
            request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + body
            assert client.request(request).body == body
            assert client.request(b"bad\r\n\r\n").status == 400
        with server.connect() as client:
            client.send(request[:-1])
            client.reset()
        assert server.terminate() == 0
    assert "Warning" not in server.output
    assert "Traceback" not in server.output
