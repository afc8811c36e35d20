"""A server in a thread of the test's process."""

import contextlib
import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from waitressd.server import Server, create_server
from waitressd.wsgi.task import Application

_PLACES: Final = frozenset({"listen", "unix_socket", "sockets"})
_DEFAULTS: Final = {"expose_tracebacks": True, "shutdown_timeout": 5.0}
_JOIN_SECONDS: Final = 20.0  # a stop has deadlines of its own, which end before
_TLS_NAMES: Final = ("localhost", "127.0.0.1", "::1")


class _Errors(logging.Handler):
    """Keeps what the application of one server has raised. Its own requests' alone: their threads tell them apart."""

    def __init__(self, server: Server) -> None:
        super().__init__(logging.ERROR)
        self._server = server
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take the exception of a record; called in the thread that logs, before the client is answered."""
        thread = threading.current_thread()
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and any(lane.owns(thread) for lane in self._server.lanes):
            self.errors.append(error)


class TestServer:
    """A server that serves from the moment of its making until `close`. Any thread.

    It listens on a free port of 127.0.0.1 unless the settings say where; `host` or `port` alone leaves the other.
    `tls` makes a certificate for localhost with trustme, which must be installed. Raises ConfigError, OSError naming
    the address, RuntimeError without trustme.
    """

    __test__: ClassVar[bool] = False  # pytest looks for classes whose names begin like this

    def __init__(self, application: Application, *, tls: bool = False, **settings: Any) -> None:  # noqa: ANN401 - settings have many types
        given = {**_DEFAULTS, **settings}
        if not given.keys() & _PLACES:
            given = {"host": "127.0.0.1", "port": 0, **given}  # as WebTest: one that is given leaves the other
        self.ca_file: str = ""
        """The file of the CA that signed the server's certificate, for clients; empty without `tls`."""
        self._cleanup = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:  # unless all goes well
            undo.push(self._cleanup)
            if tls:
                given |= self._issue_certificate()
            self.server: Server = create_server(application, **given)
            """What `waitressd.create_server` has returned."""
            undo.callback(self.server.close)
            self._log = _Errors(self.server)
            logger = logging.getLogger("waitressd")
            logger.addHandler(self._log)
            self._cleanup.callback(logger.removeHandler, self._log)
            self._failure: BaseException | None = None
            self._thread = threading.Thread(target=self._run, name="waitressd under test", daemon=True)
            self._thread.start()
            undo.pop_all()

    def _issue_certificate(self) -> dict[str, str]:
        try:
            import trustme  # noqa: PLC0415 - an extra, needed for this alone
        except ImportError:
            raise RuntimeError("tls needs the package trustme; pip install trustme") from None
        folder = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="waitressd-testing-")))
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        issued = authority.issue_cert(*_TLS_NAMES)
        issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
        (folder / "server.pem").chmod(0o600)
        self.ca_file = str(folder / "ca.pem")
        return {"tls_certificate": str(folder / "server.pem")}

    def _run(self) -> None:
        try:
            self.server.run()
        except BaseException as error:  # border: whatever ends the thread is raised by `close`, in the test
            self._failure = error

    @property
    def host(self) -> str:
        """The host of the first listener."""
        return self.server.effective_host

    @property
    def port(self) -> int:
        """The port of the first listener. Raises TypeError for a Unix socket, which has none."""
        port = self.server.effective_port
        if isinstance(port, str):
            raise TypeError(f"a Unix socket has no port; its path is {port}")
        return port

    @property
    def url(self) -> str:
        """The URL of the application, without a slash at its end. Raises TypeError for a Unix socket."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "https" if self.server.adjustments.tls_certificate else "http"
        return f"{scheme}://{host}:{self.port}{self.server.adjustments.url_prefix}"

    @property
    def errors(self) -> list[BaseException]:
        """What the application has raised in requests, in order; each is there before its client gets the 500."""
        return self._log.errors

    def close(self) -> None:
        """Stop, and wait until no thread is left; harmless when repeated. Raises what has ended the server, if so."""
        self.server.close()
        self._thread.join(_JOIN_SECONDS)
        self._cleanup.close()
        if self._thread.is_alive():
            raise RuntimeError("the server has not stopped")
        if self._failure is not None:
            raise self._failure

    # ---- the names that WebTest's StopableWSGIServer has ------------------------------------------------------------

    @classmethod
    def create(cls, application: Application, **settings: Any) -> Self:  # noqa: ANN401 - settings have many types
        """Make a server, as the class does."""
        return cls(application, **settings)

    @property
    def application_url(self) -> str:
        """The URL with a slash at its end."""
        return f"{self.url}/"

    def wait(self, retries: int = 30) -> bool:
        """Return True: a server that was made listens already, and a client that comes early waits for it."""
        return retries >= 0

    def shutdown(self) -> bool:
        """Stop, as `close` does."""
        self.close()
        return True


@contextmanager
def serve(
    application: Application,
    *,
    raise_errors: bool = False,
    **settings: Any,  # noqa: ANN401 - settings have many types
) -> Iterator[TestServer]:
    """Serve an application while a ``with`` block runs.

    Takes what `TestServer` takes. With `raise_errors`, what the application has raised is raised at the end of the
    block, as a group, unless the block itself has failed.
    """
    server = TestServer(application, **settings)
    with contextlib.closing(server):
        yield server
    errors = [error for error in server.errors if isinstance(error, Exception)]
    if raise_errors and errors:
        raise ExceptionGroup("the application has failed", errors)
