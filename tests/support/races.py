"""Requests that end at the very moment at which their time is over, and what their clients see of it."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from tests.support.client import Client
from waitressd.server import Server, create_server

LIMIT_SECONDS: Final = 0.1
WHOLE: Final = "whole "  # and the status
_BODY: Final = b"x" * 300


class Races:
    """A server whose requests all last until the watcher looks at them, give or take a few milliseconds."""

    def __init__(self, threads: int, *, interrupt: bool = False, **settings: Any) -> None:
        self.seen: Counter[str] = Counter()
        self._dice = random.Random(threads)
        self._next_look: Callable[[], float] = time.monotonic
        self._lock = threading.Lock()
        self._threads = threads
        self.server: Server = create_server(
            self._application,
            listen="127.0.0.1:0",
            threads=threads,
            request_timeout=LIMIT_SECONDS,
            request_timeout_interrupt=interrupt,
            task_log_timeout=0,
            **settings,
        )

    def _application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        begun = time.monotonic()
        time.sleep(LIMIT_SECONDS)
        lane = self.server._running.lanes[0]  # type: ignore[union-attr]  # it runs
        # The watcher looks at its next tick, which is up to five milliseconds later.
        end = lane.next_look + self._dice.uniform(0.0, 0.006)
        while (left := min(end, begun + 1.0) - time.monotonic()) > 0:
            time.sleep(min(left, 0.001))
        path = environ["PATH_INFO"]
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Path", path)])
        return [_BODY] if path != "/parts" else iter([_BODY[:100], _BODY[100:]])

    def run(self, count: int, path: str = "/") -> "Counter[str]":
        """Let so many requests race; return how often a client saw what."""
        loop = threading.Thread(target=self.server.run)
        loop.start()
        left = [count]
        clients = [threading.Thread(target=self._ask, args=(left, path)) for _ in range(self._threads)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        self.server.close()
        loop.join(30)
        return self.seen

    def _ask(self, left: list[int], path: str) -> None:
        client: Client | None = None
        while self._take(left):
            client = client or Client(("127.0.0.1", int(self.server.effective_port)), timeout=30)
            found = self._judge(client, path)
            with self._lock:
                self.seen[found] += 1
            if found != WHOLE + "200":
                client.close()
                client = None
        if client is not None:
            client.close()

    def _take(self, left: list[int]) -> bool:
        with self._lock:
            left[0] -= 1
            return left[0] >= 0

    @staticmethod
    def _judge(client: Client, path: str) -> str:
        try:
            client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            response = client.receive()
            if response.status == 504:
                rest = client.receive_rest()
                is_right = response.closes and b"did not answer request 1-" in response.body and not rest
            else:
                is_right = response.body == _BODY and response.get("X-Path") == path
                # Nothing of another answer follows.
                with suppress(BlockingIOError):
                    client.sock.setblocking(False)
                    is_right = is_right and not client.sock.recv(1)
                client.sock.settimeout(30)
        except (OSError, AssertionError) as error:
            return f"cut: {type(error).__name__}"
        return f"{WHOLE}{response.status}" if is_right else f"mixed: {response.status} {response.body[:60]!r}"
