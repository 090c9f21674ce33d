"""The version of this microconv; packaging reads it from here."""

__version__ = "0.1.0"
