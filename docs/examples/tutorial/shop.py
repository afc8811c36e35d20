"""A small application with Pyramid."""

import time

from pyramid.config import Configurator
from pyramid.response import Response


def home(request):
    return Response("Welcome to the shop.\n", content_type="text/plain")


def report(request):
    time.sleep(3)  # a slow database
    return Response("42 orders\n", content_type="text/plain")


def order(request):
    return Response(f"Order {int(request.matchdict['number'])}\n", content_type="text/plain")


def main(global_config, **settings):
    config = Configurator(settings=settings)
    config.add_route("home", "/")
    config.add_view(home, route_name="home")
    config.add_route("report", "/report")
    config.add_view(report, route_name="report")
    config.add_route("order", "/orders/{number}")
    config.add_view(order, route_name="order")
    return config.make_wsgi_app()
