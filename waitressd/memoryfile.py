"""Files without a name, in memory where the system has such: a service may have no disk to write to."""

import contextlib
import os


def new_file(name: str) -> int:
    """Return the descriptor of an empty file that ends with its last descriptor, for the caller to close.

    `name` is for people who look at the descriptors of a process. Raises OSError.
    """
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):  # not allowed here
            return os.memfd_create(name)
    # With all that packs archives, for which nobody waits who has memory.
    from tempfile import TemporaryFile  # noqa: PLC0415 - see above

    with TemporaryFile() as file:
        return os.dup(file.fileno())
