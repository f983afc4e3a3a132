"""As data.duplicates; goes with the last module that imports it from here."""

from tenfold.data.duplicates import component_numbers as join

__all__ = ["join"]
