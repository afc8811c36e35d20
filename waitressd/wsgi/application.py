"""Whether an object can be a WSGI application (PEP 3333), asked before the first request fails because it is not."""

import inspect
from collections.abc import Callable
from types import ModuleType

_ASGI = "the application is asynchronous (ASGI), and this server calls WSGI applications, with environ, start_response"


def trouble_with(application: object) -> str:
    """Say why an object cannot be called as a WSGI application; empty if nothing is known against it."""
    if isinstance(application, ModuleType):
        return f"the application must be callable, and {application.__name__} is a module"
    if not callable(application):
        return f"the application must be callable, and {application!r} is not"
    if any(map(inspect.iscoroutinefunction, (application, type(application).__call__))):
        return _ASGI
    return _wrong_arguments(application)


def _wrong_arguments(application: Callable[..., object]) -> str:
    try:
        # What is called decides, not the function that a decorator has wrapped.
        signature = inspect.signature(application, follow_wrapped=False)
    except Exception:  # border: a callable of C, or one that describes itself, may fail in any way
        return ""
    try:
        signature.bind("environ", "start_response")
    except TypeError:
        parameters = list(signature.parameters)
    else:
        return ""
    if parameters[:1] == ["scope"]:
        return _ASGI
    name = getattr(application, "__name__", type(application).__name__)
    takes = ", ".join(parameters[:3]) or "nothing"
    text = f"the application is called with environ and start_response, and {name} takes {takes}"
    return f"{text}; if it makes the application, it must be called first (option --call)"
