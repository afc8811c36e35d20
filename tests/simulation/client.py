"""Simulated clients: they send requests in pieces, read answers at their own pace, and believe nothing.

Most are polite and must get every answer; the others drip, stall, reset, close half or whole, or never read.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.simulation.application import content
from tests.simulation.kernel import SimSocket
from tests.simulation.scheduler import SimulationError
from tests.simulation.secure import FAREWELL, FINISHED, HANDSHAKE, HELLO, ClientSide, record
from tests.support.client import parse_head

if TYPE_CHECKING:
    from tests.simulation.world import World
    from tests.support.client import Response

POLITE: Final = "polite"
HABITS: Final = (
    POLITE, POLITE, POLITE, POLITE, POLITE, "half-closes", "resets", "leaves", "never reads", "drips", "stalls",
    "silent", "slow", "pauses", "is malformed", "waits for 100",
)  # fmt: skip
BAD_REQUEST: Final = b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"


@dataclass
class Expected:
    """One request and what its answer must be."""

    method: str
    target: str
    body: bytes
    mode: str
    version: str
    closes: bool
    data: bytes


class AnswerReader:
    """Reads the answers to a series of requests from bytes; any deviation is a SimulationError."""

    def __init__(self, expected: list[Expected]) -> None:
        self.expected = expected
        self.answered: list[int] = []  # statuses
        self.continues = 0  # how often it was told to go on
        self.is_over = False  # an answer said that it is the last one
        self._ignores_rest = False  # what follows may be the text of a refusal
        self._buffer = bytearray()
        self._head: Response | None = None
        self._body = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        if self._ignores_rest:
            return
        if data and self.is_over:
            raise SimulationError(f"bytes after the last answer: {data[:80]!r}")
        self._buffer += data
        while not self.is_over and self._step():
            pass
        if self.is_over and self._buffer:
            raise SimulationError(f"bytes after the last answer: {bytes(self._buffer[:80])!r}")

    def end(self) -> bool:
        """The connection ended; whether it ended in the middle of an answer."""
        if self._head is not None and self._length(self._head) is None and not self._is_chunked(self._head):
            self._complete()
            return False
        return self.is_in_answer

    @property
    def is_in_answer(self) -> bool:
        """Whether an answer is not complete."""
        return self._head is not None or bool(self._buffer)

    def _step(self) -> bool:
        if self._head is None:
            return self._read_head()
        if self._is_chunked(self._head):
            return self._read_chunk()
        length = self._length(self._head)
        wanted = len(self._buffer) if length is None else length - len(self._body)
        self._body += self._buffer[:wanted]
        del self._buffer[:wanted]
        if len(self._body) == length:
            self._complete()
            return True
        return False

    @staticmethod
    def _is_chunked(head: "Response") -> bool:
        return head.get("Transfer-Encoding") == "chunked"

    def _length(self, head: "Response") -> int | None:
        length = head.get("Content-Length")
        request = self.expected[len(self.answered)] if len(self.answered) < len(self.expected) else None
        if request is not None and request.method == "HEAD":
            return 0
        return None if length is None else int(length)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = parse_head(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        if head.status == 100:
            self.continues += 1
            return True
        if len(self.answered) >= len(self.expected):
            if head.status not in (408, 400):
                raise SimulationError(f"an answer without a request: {head}")
        elif head.status in (400, 408, 503) and head.closes and self.expected[len(self.answered)].method == "HEAD":
            # The server may have refused before it knew the method: then there is a text.
            self.answered.append(head.status)
            self.is_over = self._ignores_rest = True
            self._buffer.clear()
            return False
        elif self._length(head) == 0:
            self._head = head
            self._complete()
            return True
        self._head = head
        return True

    def _read_chunk(self) -> bool:
        line_end = self._buffer.find(b"\r\n")
        if line_end < 0:
            return False
        size = int(self._buffer[:line_end], 16)
        end = line_end + 2 + size + 2
        if len(self._buffer) < end:
            return False
        self._body += self._buffer[line_end + 2 : end - 2]
        del self._buffer[:end]
        if not size:
            self._complete()
        return True

    def _complete(self) -> None:
        """Compare an answer with its request."""
        head, self._head = self._head, None
        assert head is not None
        body, self._body = bytes(self._body), bytearray()
        number = len(self.answered)
        self.answered.append(head.status)
        self.is_over = head.closes
        if head.status == 200:
            request = self.expected[number]
            if head.get("X-Target") != request.target:
                raise SimulationError(f"the answer to {head.get('X-Target')} came for {request.target}")
            if body != (b"" if request.method == "HEAD" else request.body):
                raise SimulationError(
                    f"the body of {request.target} is wrong: {len(body)} of {len(request.body)} bytes"
                )
            if request.mode in ("fail", "cut") and (request.method != "HEAD" or request.mode == "fail"):
                raise SimulationError(f"{request.target} looks complete and is not")
        elif head.status == 500:
            if self.expected[number].mode not in ("fail", "cut"):
                raise SimulationError(f"500 for {self.expected[number].target}")
        elif head.status not in (408, 503, 504, 400):
            raise SimulationError(f"{head.status} for {number}")
        elif not head.closes:
            raise SimulationError(f"{head.status} without Connection: close")


class SimClient:
    """One client with one connection."""

    def __init__(self, world: "World", number: int) -> None:
        self.world = world
        self.number = number
        rng = world.random
        self.habit = rng.choice(HABITS)
        self.requests = self._plan()
        self.reader = AnswerReader(self.requests)
        self.is_pipelining = rng.random() < 0.4 and self.habit != "waits for 100"
        self.piece_bytes = rng.choice((1, 20, 1000, 100_000))
        self.read_bytes = rng.choice((10, 1000, 100_000))
        self.is_done = False
        self.was_cut = False
        self.sock = SimSocket(world.kernel, number)
        self.tls = ClientSide(rng) if world.is_secure else None
        self._unsent = b""
        self._waiting = b""  # until the handshake is complete
        self._sent = 0  # requests given to _unsent
        self._held_back = b""  # a body that waits for 100 Continue
        self._will_read = False
        self._has_paused = False

    def _plan(self) -> list[Expected]:
        rng = self.world.random
        requests: list[Expected] = []
        for number in range(rng.choice((1, 1, 2, 3, 8))):
            mode = rng.choice(self.world.mood)
            size = rng.choice((0, 20, 300, 5000, 40_000) if mode == "large" else (1, 20, 300, 3000))
            method = rng.choice(("GET", "GET", "GET", "POST", "POST", "HEAD"))
            version = "1.1" if rng.random() < 0.85 else "1.0"
            target = f"/{self.number}/{number}/{mode}/{size}"
            closes = version == "1.0" or rng.random() < 0.1
            lines = [f"{method} {target} HTTP/{version}", "Host: x"]
            if version == "1.1" and closes:
                lines.append("Connection: close")
            body = self._upload(number, lines) if method == "POST" else b""
            data = "\r\n".join([*lines, "", ""]).encode() + body
            answer = content(self.number, number, mode, size)
            requests.append(Expected(method, target, answer, mode, version, closes, data))
            if closes:
                break
        return requests

    def _upload(self, number: int, lines: list[str]) -> bytes:
        rng = self.world.random
        body = b"x" * rng.choice((0, 1, 100, 3000))
        self.world.uploads[self.number, number] = body
        if rng.random() < 0.3 or self.habit == "waits for 100":
            lines.append("Expect: 100-continue")  # and it does not wait for it, as it need not
        if lines[0].endswith("1.0") or rng.random() < 0.6:
            lines.append(f"Content-Length: {len(body)}")
            return body
        lines.append("Transfer-Encoding: chunked")
        half = len(body) // 2
        chunks = [chunk for chunk in (body[:half], body[half:]) if chunk]
        return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"

    # -- life

    def start(self) -> None:
        """Connect."""
        self.world.scheduler.note(f"client {self.number} ({self.habit}) connects")
        if not self.world.connect(self):
            self._end()
            return
        rng = self.world.random
        if self.world.is_proxied:
            self._unsent = b"PROXY TCP4 10.9.0.%d 10.0.0.1 1000 80\r\n" % (self.number % 3)
        if self.habit in ("resets", "leaves"):
            self._later(rng.choice((0.0, 0.001, 0.1, 1.0)) * rng.random(), self._disappear)
        elif self.habit == "drips":
            self.world.sometimes["a client drips"] += 1
        if self.tls is not None and (self.habit != "silent" or rng.random() < 0.5):
            self._unsent += record(HANDSHAKE, HELLO)
        if self.habit == "is malformed":
            self._say(BAD_REQUEST)
        elif self.habit != "silent":
            self._send_next()
        elif self._unsent:
            self._send_piece()

    def _say(self, data: bytes) -> None:
        """Send octets of HTTP."""
        if self.tls is None:
            self._unsent += data
        elif self.tls.is_shaken:
            self._unsent += self.tls.seal(data)
        else:
            self._waiting += data
        self._send_piece()

    def _end_handshake(self) -> None:
        assert self.tls is not None
        data, self._waiting = self._waiting, b""
        self._unsent += record(HANDSHAKE, FINISHED) + self.tls.seal(data)
        self._send_piece()

    def _finish(self) -> None:
        """End this side."""
        if self.tls is not None and self.world.random.random() < 0.7:
            self.sock.push(record(FAREWELL))
        self.sock.finish()

    def _later(self, seconds: float, call: "object") -> None:
        assert callable(call)
        self.world.scheduler.call_at(self.world.scheduler.now + seconds, call)

    def _send_next(self) -> None:
        """Begin to send the next request, or all that are left."""
        count = len(self.requests) if self.is_pipelining else self._sent + 1
        data = b"".join(request.data for request in self.requests[self._sent : count])
        head, blank, body = data.partition(b"\r\n\r\n")
        if self.habit == "waits for 100" and b"Expect:" in head:
            self._held_back = body
            data = head + blank
        self._sent = min(count, len(self.requests))
        self._say(data)

    def _send_piece(self) -> None:
        if self.is_done or not self._unsent:
            return
        rng = self.world.random
        count = rng.randint(1, self.piece_bytes)
        delay = rng.choice((0.0, 0.00002, 0.0005, 0.004)) if self.piece_bytes > 1 else 0.0002
        if self.habit == "drips":
            count, delay = 1, 0.4
        elif self.habit == "stalls" and len(self._unsent) < rng.randint(1, 200):
            self.world.sometimes["a client stalls"] += 1
            return
        self.sock.push(self._unsent[:count])
        self._unsent = self._unsent[count:]
        if self._unsent:
            self._later(delay, self._send_piece)
        elif self.habit == "half-closes" and self._sent == len(self.requests) and not self._waiting:
            self._finish()
        self.on_output()

    def _disappear(self) -> None:
        if self.is_done:
            return
        if self.habit == "resets":
            self.sock.reset()
        else:
            self.sock.finish()
            self.sock.gives_up = True
        self._end()

    def on_output(self) -> None:
        """The server has sent something, or has ended the connection."""
        if not self._will_read and not self.is_done and self.habit != "never reads":
            self._will_read = True
            delay = self.world.random.choice((0.0, 0.0001, 0.002))
            self._later(0.3 if self.habit == "slow" else delay, self._read)

    def _read(self) -> None:
        self._will_read = False
        if self.is_done:
            return
        before = len(self.reader.answered)
        try:
            data = self.sock.pull(self.read_bytes if self.habit != "slow" else 30)
        except ConnectionResetError:
            self.was_cut = True
            self._end()
            return
        was_shaken = self.tls is None or self.tls.is_shaken
        self.reader.feed(data if self.tls is None else self.tls.open(data))
        if not was_shaken and self.tls is not None and self.tls.is_shaken:
            self._end_handshake()
        if self.habit == "pauses" and not self._has_paused:
            self._has_paused = self._will_read = True
            self._later(3.0, self._read)
            return
        if self.sock.is_at_end:
            self.was_cut = self._was_cut()
            self._end()
            return
        if self._held_back and self.reader.continues:
            self.world.sometimes["100 Continue"] += 1
            data, self._held_back = self._held_back, b""
            self._say(data)
        if len(self.reader.answered) > before and not self.reader.is_over:
            self._on_answer()
        if data:
            self.on_output()

    def _was_cut(self) -> bool:
        """The server ended the connection; whether that was in the middle of an answer."""
        if self.tls is None:
            return self.reader.end()
        if self.tls.has_farewell:
            if self.reader.end():
                raise SimulationError(f"a cut answer to client {self.number} has a farewell")
            self.world.sometimes["a farewell"] += 1
            return False
        if self.reader.is_over and self.tls.is_shaken and not self.world.may_break_promises:
            raise SimulationError(f"client {self.number} got all, and no farewell")
        return self.reader.is_in_answer

    def _on_answer(self) -> None:
        if len(self.reader.answered) == len(self.requests):
            if self.world.random.random() < 0.7:
                self._finish()
        elif not self.is_pipelining and not self._unsent:
            self._later(self.world.random.choice((0.0, 0.001, 0.5)), self._send_next)

    def _end(self) -> None:
        self.is_done = True
        self.world.scheduler.note(f"client {self.number} ends: {self.reader.answered}")

    # -- judgement

    def judge(self) -> None:
        """Check that a polite client got what it asked for."""
        for status in self.reader.answered:
            self.world.sometimes[f"answer {status}"] += 1
        if self.was_cut:
            self.world.sometimes["an answer is cut"] += 1
        if 504 in self.reader.answered and self.number not in self.world.timed_out:
            raise SimulationError(f"client {self.number} was answered 504 before its time was over")
        if self.habit not in (POLITE, "half-closes", "waits for 100") or self.world.may_break_promises:
            return
        answered = self.reader.answered
        if 400 in answered:
            raise SimulationError(f"client {self.number} was refused for what it did not do")
        if len(answered) < len(self.requests) and not self._is_excused(answered):
            raise SimulationError(f"client {self.number} got {len(answered)} of {len(self.requests)} answers")

    def _is_excused(self, answered: list[int]) -> bool:
        """Whether there is a good reason for an answer that did not come."""
        world = self.world
        missing = self.requests[len(answered)]
        stopped = world.is_stopped and not self.was_cut
        return (
            503 in answered
            or self.number in world.revoked
            or self.reader.is_over
            or stopped  # between two requests
            # An answer that the application broke off ends the connection. Where only a reset can tell, it overtakes
            # what was sent before.
            or (self.was_cut and missing.mode in ("cut", "short"))
            or (self.was_cut and any(each.version == "1.0" and each.mode == "cut" for each in self.requests))
            # A task waits for a slow reader no longer than the stall deadline, however politely it reads.
            or (self.was_cut and bool(world.sometimes["a producer waited in vain"]))
            # Nobody could take it out of the backlog before the stop.
            or (not self.sock.was_accepted and world.was_closed_to_some)
        )
