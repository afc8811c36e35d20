"""waitressd.wsgi.blocks: what counts as bytes, and how pieces are joined."""

import pytest

from waitressd.wsgi.blocks import JOIN_BYTES, blocks, checked_bytes


def test_blocks() -> None:
    big = b"x" * JOIN_BYTES
    assert list(blocks([])) == []
    assert list(blocks([b"", b""])) == []
    assert list(blocks([b"a", b"", b"b", big, big, b"c"])) == [b"ab", big, big, b"c"]
    half = b"y" * (JOIN_BYTES // 2)
    assert list(blocks([half, half, half])) == [half + half, half]
    assert next(block for block in blocks([big]) if block) is big


def test_checked_bytes() -> None:
    assert checked_bytes(bytearray(b"x"), "here") == b"x"
    for item in ("text", 7, None, [b"x"]):
        with pytest.raises(TypeError, match=rf"^here {type(item).__name__}; a WSGI response consists of bytes"):
            checked_bytes(item, "here")
