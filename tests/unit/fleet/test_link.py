"""Messages between processes, and the descriptors that belong to them."""

import contextlib
import json
import os
import resource
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from waitressd.fleet.link import MAX_LINE_BYTES, Link, LinkError, Message


@contextlib.contextmanager
def pair() -> Iterator[tuple[Link, Link]]:
    """Both ends of a link, which are closed in the end."""
    ours, theirs = Link.pair()
    with contextlib.closing(ours), contextlib.closing(theirs):
        yield ours, theirs


@contextlib.contextmanager
def pipes(count: int) -> Iterator[list[int]]:
    """As many descriptors, which can be told from each other."""
    ends = [os.pipe() for _ in range(count)]
    try:
        yield [reading for reading, _ in ends]
    finally:
        for end in (end for both in ends for end in both):
            os.close(end)


def receive_all(link: Link) -> list[Message]:
    """Take everything, in as many reads as it needs."""
    link.socket.setblocking(False)
    found: list[Message] = []
    while messages := link.receive():
        found += messages
    return found


def is_same(one: int, other: int) -> bool:
    return os.path.sameopenfile(one, other)


def test_a_message_arrives_as_it_was_sent() -> None:
    with pair() as (ours, theirs):
        assert ours.send("drain", seconds=1.5, is_last=True)
        assert ours.send("abort")
        assert receive_all(theirs) == [Message("drain", {"seconds": 1.5, "is_last": True}), Message("abort")]
        assert not theirs.is_over


def test_messages_may_be_cut_anywhere() -> None:
    text = b"".join(
        json.dumps({"name": name, "descriptors": 0, "text": "a line\nand more ä"}).encode() + b"\n" for name in "abc"
    )
    whole = [Message(name, {"text": "a line\nand more ä"}) for name in "abc"]
    for cut in range(1, len(text)):
        with pair() as (ours, theirs):
            ours.socket.sendall(text[:cut])
            found = receive_all(theirs)
            ours.socket.sendall(text[cut:])
            assert found + receive_all(theirs) == whole, cut
    with pair() as (ours, theirs):
        found = []
        for number in text:
            ours.socket.sendall(bytes([number]))
            found += receive_all(theirs)
        assert found == whole


def test_descriptors_stay_with_their_message() -> None:
    with pair() as (ours, theirs), pipes(3) as sent:
        ours.send("first", sent[:1])
        ours.send("none")
        ours.send("both", sent[1:])
        first, none, both = receive_all(theirs)
        assert (len(first.descriptors), none.descriptors, len(both.descriptors)) == (1, (), 2)
        for received, original in zip(first.descriptors + both.descriptors, sent, strict=True):
            assert is_same(received, original)
            assert not os.get_inheritable(received)
        first.close()
        both.close()


def test_what_was_passed_and_never_taken_is_closed_with_the_link() -> None:
    reading, writing = os.pipe()
    with pair() as (ours, theirs):
        line = json.dumps({"name": "cut", "descriptors": 1}).encode()  # and no end of the line
        socket.send_fds(ours.socket, [line], [writing])
        os.close(writing)
        assert theirs.receive() == []
        theirs.close()
        assert os.read(reading, 1) == b""  # nobody has the other end any more
    os.close(reading)


@pytest.mark.parametrize(
    "text",
    [
        b"\n",
        b"nonsense\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"7\n",
        b"{}\n",
        b'{"name": "a"}\n',
        b'{"descriptors": 0}\n',
        b'{"name": 7, "descriptors": 0}\n',
        b'{"name": "a", "descriptors": 1}\n',
        b'{"name": "a", "descriptors": -1}\n',
        b'{"name": "a", "descriptors": true}\n',
        b'{"name": "a", "descriptors": Infinity}\n',
        b'{"name": "a", "descriptors": "0"}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_nonsense_is_an_error_of_the_link(text: bytes) -> None:
    with pair() as (ours, theirs):
        ours.socket.setblocking(False)
        theirs.socket.setblocking(False)
        rest = memoryview(text)

        def talk() -> None:
            nonlocal rest
            while rest:
                rest = rest[ours.socket.send(rest) :]
                theirs.receive()
            for _ in range(len(text) // 65536 + 1):  # as much as one read takes
                theirs.receive()

        with pytest.raises(LinkError):
            talk()


def test_an_error_keeps_no_descriptor_of_the_messages_before_it() -> None:
    reading, writing = os.pipe()
    with pair() as (ours, theirs):
        good = json.dumps({"name": "good", "descriptors": 1}).encode()
        socket.send_fds(ours.socket, [good + b"\nnonsense\n"], [writing])
        os.close(writing)
        with pytest.raises(LinkError):
            theirs.receive()
        assert os.read(reading, 1) == b""
    os.close(reading)


def test_a_message_without_an_end_is_an_error() -> None:
    def talk(ours: Link, theirs: Link) -> None:
        theirs.socket.setblocking(False)
        for _ in range(MAX_LINE_BYTES // 65536 + 1):
            ours.socket.sendall(b"x" * 65536)
            theirs.receive()

    with pair() as (ours, theirs), pytest.raises(LinkError, match="without an end"):
        talk(ours, theirs)


def test_nothing_there_is_no_end() -> None:
    with pair() as (ours, _):
        ours.socket.setblocking(False)
        assert ours.receive() == []
        assert not ours.is_over
        assert not ours.is_hung_up()


def test_the_end_comes_after_what_was_sent_before() -> None:
    with pair() as (ours, theirs):
        ours.send("last")
        ours.close()
        assert theirs.is_hung_up()
        assert (theirs.receive(), theirs.is_over) == ([Message("last")], False)
        assert (theirs.receive(), theirs.is_over) == ([], True)
        assert not theirs.send("too late")


def test_a_reset_is_an_end() -> None:
    with pair() as (ours, theirs):
        theirs.send("never read")
        ours.close()  # with something unread
        assert theirs.receive() == []
        assert theirs.is_over


def test_a_full_pipe_does_not_block_and_leaves_whole_messages() -> None:
    with pair() as (ours, theirs):
        sent = 0
        while ours.send("word", number=sent, text="x" * 1000):  # the socket blocks; the link does not
            sent += 1
        assert sent
        numbers = [message.fields["number"] for message in receive_all(theirs)]
        assert numbers == list(range(sent))
        assert ours.send("again")
        assert receive_all(theirs) == [Message("again")]


def test_a_message_that_fits_only_in_part_ends_what_is_said() -> None:
    with pair() as (ours, theirs):
        assert not ours.send("huge", text="x" * 5_000_000)
        theirs.socket.setblocking(False)
        received: list[Any] = []
        for _ in range(1000):
            received += theirs.receive()
        assert received == []  # and the next message is not taken for the rest of it
        assert not ours.send("next")


@contextlib.contextmanager
def room_for(count: int) -> Iterator[None]:
    """Let this process open so few descriptors more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as held:
        highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
        while (fd := os.open(os.devnull, os.O_RDONLY)) <= highest:
            held.callback(os.close, fd)
        os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (fd + count, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is not known which descriptors are open")
@pytest.mark.parametrize("room", [0, 1])
def test_a_message_that_there_are_no_descriptors_for_is_left_out_and_the_link_stands(room: int) -> None:
    with pair() as (ours, theirs), pipes(2) as sent:
        ours.send("before")
        ours.send("cut", sent)
        ours.send("after")
        with room_for(room):
            received = [*theirs.receive(), *theirs.receive()]
        assert [message.name for message in received] == ["before", "after"]
        ours.send("whole", sent)
        (message,) = theirs.receive()
        assert len(message.descriptors) == 2
        message.close()


def test_an_end_can_be_taken_over_by_its_number() -> None:
    ours, theirs = Link.pair()
    os.set_inheritable(theirs.fileno(), True)
    with contextlib.closing(ours), contextlib.closing(Link.from_descriptor(theirs.socket.detach())) as taken:
        assert not os.get_inheritable(taken.fileno())
        ours.send("hello")
        assert taken.receive() == [Message("hello")]


def test_what_is_no_socket_is_no_link() -> None:
    with pipes(1) as (reading,), pytest.raises(OSError, match="socket"):
        Link.from_descriptor(reading)


def test_closing_twice_is_harmless() -> None:
    with pair() as (ours, _):
        ours.close()
        ours.close()
