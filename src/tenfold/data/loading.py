"""The name that `tenfold.data.load` had at first, for programs that import from it."""

from tenfold.data.load import load, load_unlabelled

__all__ = ["load", "load_unlabelled"]
