"""The routes of the application."""


def includeme(config):
    """Add them."""
    config.add_route("home", "/")
    config.add_route("cart", "/cart/{number}")
