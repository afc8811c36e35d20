"""What a Python program calls to serve an application."""

import logging
import threading
from typing import Any

from waitressd.config.adjustments import Adjustments
from waitressd.fdstore import keep_while_serving
from waitressd.listeners import open_first_listeners
from waitressd.listening import log_lines
from waitressd.operatorlog import operator_log
from waitressd.server import Server
from waitressd.signals import show_stacks_of_a_crash
from waitressd.standardstreams import fill_descriptors
from waitressd.startadvice import log_start_advice
from waitressd.wsgi.task import Application


def serve(app: Application, *, _quiet: bool = False, **settings: Any) -> None:  # noqa: ANN401 - settings have many types
    """Serve an application until the process is told to stop. Raises ConfigError, or OSError naming the address.

    With `_quiet`, as in waitress, the addresses are not logged and `logging` is left as it is. With worker processes
    this process is their master, and SystemExit is raised where they have failed.
    """
    if not _quiet:
        logging.basicConfig()
    adjustments = Adjustments.from_keywords(**settings)
    fill_descriptors()
    show_stacks_of_a_crash()
    server = Server(adjustments, app)
    log_start_advice(adjustments, certificates=server.served_certificates)
    if adjustments.may_be_fleet and _lead(server):
        return
    listeners = open_first_listeners(adjustments)
    server.open(listeners)
    if not _quiet:
        lines = server.announce("Serving on http://{}:{}")
        server.on_ready.append(lambda _serving: log_lines(lines))
    keep_while_serving(server.on_ready, listeners)
    with operator_log.running():
        server.run()


def _lead(server: Server) -> bool:
    """Be the master of worker processes until they have ended; False if there are to be none."""
    from waitressd.fleet import lead  # noqa: PLC0415 - a single process pays nothing for it

    if not lead.is_master_needed(server):
        return False
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("worker processes need the main thread, which hears the signals; call serve there")
    status = lead.lead_here(server)
    if status:
        raise SystemExit(status)
    return True
