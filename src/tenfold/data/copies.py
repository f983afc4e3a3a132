"""As data.duplicates; goes with the last module that imports it from here."""

from tenfold.data.duplicates import NearCopies, copies_among, near_copies, nearest

__all__ = ["NearCopies", "copies_among", "near_copies", "nearest"]
