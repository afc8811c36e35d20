"""A shop of one page, in Flask: an application that a factory makes."""

import os

from flask import Flask, jsonify, request


def create_app() -> Flask:
    """Make the application; its secret comes from the environment."""
    app = Flask(__name__)
    app.secret_key = os.environ["SHOP_SECRET"]

    @app.get("/")
    def index():
        return f"Welcome, {request.remote_addr}, by {request.scheme} at {request.host}\n"

    @app.get("/cart/<int:number>")
    def cart(number: int):
        request.environ["waitressd.route"] = str(request.url_rule)
        return jsonify(items=list(range(number)))

    return app
