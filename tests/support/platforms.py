"""What other platforms lack, taken away from this one."""

from typing import Final

import pytest

from waitressd.net import wire

WAYS: Final[dict[str, tuple[str, ...]]] = {
    "all": (),
    "no sendfile": ("_HAS_SENDFILE",),
    "Windows": ("_HAS_SENDFILE", "_HAS_SENDMSG", "_HAS_POSITIONS"),
}


def lack(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the functions of `wire` do without; skip where this platform lacks more than that itself."""
    for name in ("_HAS_SENDFILE", "_HAS_SENDMSG", "_HAS_POSITIONS"):
        if name in names:
            monkeypatch.setattr(wire, name, False)
        elif not getattr(wire, name):
            pytest.skip("this platform does not have it")
