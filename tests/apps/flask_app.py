"""A small Flask application: sessions, redirects, uploads, streams, static files, errors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, jsonify, redirect, request, send_file, session, stream_with_context, url_for

STATIC = Path(__file__).parent / "static"

app = Flask(__name__, static_folder=str(STATIC))
app.secret_key = "a secret for tests"


@app.get("/count")
def count() -> Any:
    """Count the visits of this browser."""
    session["visits"] = session.get("visits", 0) + 1
    return jsonify(visits=session["visits"], url=request.url, root=request.url_root)


@app.post("/login")
def login() -> Any:
    """Take a form and go elsewhere."""
    session["name"] = request.form["name"]
    return redirect(url_for("whoami", _external=True))


@app.get("/whoami")
def whoami() -> Any:
    """Say who logged in."""
    if "name" not in session:
        abort(403)
    return str(session["name"])


@app.post("/upload")
def upload() -> Any:
    """Take a file from a form of several parts."""
    file = request.files["file"]
    content = file.read()
    return jsonify(filename=file.filename, length=len(content), sum=sum(content), note=request.form["note"])


@app.post("/json")
def take_json() -> Any:
    """Take JSON and give it back."""
    return jsonify(request.get_json())


@app.get("/stream")
def stream() -> Response:
    """Answer with pieces that are made while they are sent."""

    def pieces() -> Iterator[str]:
        for number in range(100):
            yield f"line {number}\n"

    return Response(stream_with_context(pieces()), mimetype="text/plain")


@app.get("/download")
def download() -> Response:
    """Answer with a file, which Flask hands to wsgi.file_wrapper; ranges and conditions included."""
    return send_file(STATIC / "style.css", conditional=True)


@app.get("/broken")
def broken() -> Any:
    """Fail as applications do."""
    raise RuntimeError("a defect of the application")
