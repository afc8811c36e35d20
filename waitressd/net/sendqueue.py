"""What the kernel still holds of what was given to it for a client.

The poller tells that a client takes output only when a third of the kernel's buffer is free, and that may be megabytes.
For a client that is slow and steady this is far apart; whether it takes anything is seen here in between.
"""

import array
import socket
import sys

if sys.platform == "win32":

    def unacknowledged_bytes(sock: socket.socket) -> int:
        """Return 0: the system does not tell, and what the poller says must do."""
        del sock
        return 0

else:
    import fcntl
    import termios

    def unacknowledged_bytes(sock: socket.socket) -> int:
        """Return how many bytes given to the kernel the client's side has not confirmed; 0 where nobody tells."""
        count = array.array("i", [0])
        try:
            fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, count)
        except OSError:  # not every system says it of sockets
            return 0
        return count[0]
