"""The public batch transforms under their public name: `tenfold.augment` holds them."""

from tenfold.augment import *  # noqa: F403
from tenfold.augment import __all__ as __all__
