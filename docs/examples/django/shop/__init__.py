"""A Django project with the admin, and files that WhiteNoise serves."""
