"""The route of a request for Flask: ``waitressd.routes.flask.init_app(app)``.

It is the rule that was matched: ``/users/<int:id>``. A request for which there is none has no route.
"""

from flask import Flask, request, request_started

from waitressd.routes import name_route


def init_app(app: Flask, *, prefix: str = "") -> None:
    """Have the application name its routes; `prefix` is where it is mounted, if it is mounted below a path.

    To be called once, before the application is served.
    """

    def name(_app: Flask, **_: object) -> None:
        rule = request.url_rule
        if rule is not None:
            name_route(request.environ, prefix, rule.rule)

    # Before anything of the application runs: a function of `before_request` may take long or answer by itself.
    request_started.connect(name, app, weak=False)
