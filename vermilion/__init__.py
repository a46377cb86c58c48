"""Vermilion: text into 2 to 1,000+ labels from a handful of examples each."""

__version__ = "0.1.0"
