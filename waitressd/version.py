"""Which version this is. Imports nothing, so that everybody may ask; the build reads it here."""

__version__ = "1.0.0"
