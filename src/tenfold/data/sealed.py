"""As data.splits; goes with the last module that imports it from here."""

from tenfold.data.splits import Fold, SealedFold, open_fold, part_of, with_grown

__all__ = ["Fold", "SealedFold", "open_fold", "part_of", "with_grown"]
