"""An application that says whether it was loaded, for tests of configurations that must not get that far."""

from typing import Any

loaded: list[dict[str, str]] = []


def factory(global_conf: dict[str, str], **settings: str) -> Any:
    """Remember the call; a wrong configuration is refused before it."""
    del global_conf
    loaded.append(settings)

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        del environ
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"loaded\n"]

    return application


class NeverCallable:
    """What a factory must not return."""


def not_an_application(global_conf: dict[str, str], **settings: str) -> Any:
    """Return something that cannot be called."""
    del global_conf, settings
    return NeverCallable()


def failing(global_conf: dict[str, str], **settings: str) -> Any:
    """Fail as applications do."""
    del global_conf, settings
    settings_of_the_application: dict[str, Any] = {}
    return settings_of_the_application["the key that this application misses"]


def no_arguments() -> Any:
    """Be a factory of another kind than PasteDeploy's."""
    return not_an_application
