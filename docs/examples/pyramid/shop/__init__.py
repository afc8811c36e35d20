"""A project as Pyramid's cookiecutter makes it."""

from pyramid.config import Configurator


def main(global_config, **settings):
    """Return the application."""
    with Configurator(settings=settings) as config:
        config.include("shop.routes")
        config.include("waitressd.routes.pyramid")
        config.scan()
    return config.make_wsgi_app()
