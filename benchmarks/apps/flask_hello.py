"""A Flask application with one view."""

from flask import Flask, Response

application = Flask(__name__)


@application.get("/")
def hello() -> Response:
    """Answer 13 bytes."""
    return Response("Hello, world!", mimetype="text/plain")
