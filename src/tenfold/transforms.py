"""The public batch transforms under their public name: `tenfold.augment` holds them, and a generator is one too."""

from tenfold.augment import *  # noqa: F403
from tenfold.augment import __all__ as _of_augment
from tenfold.generators.learned import Learned

__all__ = [*_of_augment, "Learned"]
