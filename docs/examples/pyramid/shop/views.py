"""The views of the application."""

from pyramid.response import Response
from pyramid.view import view_config


@view_config(route_name="home")
def home(request):
    """Say who asks, and how."""
    return Response(f"Welcome, {request.remote_addr}, by {request.scheme} at {request.host}\n")


@view_config(route_name="cart", renderer="json")
def cart(request):
    """Show what is in a cart."""
    return {"items": list(range(int(request.matchdict["number"])))}
