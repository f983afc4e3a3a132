"""The words by which people name the parts of their data."""

from __future__ import annotations

from tenfold.core.errors import InputError
from tenfold.core.types import Role

ROLES: dict[str, Role] = {
    "train": "train", "training": "train", "val": "train", "valid": "train", "validation": "train",
    "reserve": "reserve", "test": "test",
}  # fmt: skip


def role_of(word: str, where: str) -> Role:
    """The role that a word in a split column means; validation images are studied too, as folds replace them.

    Raises:
        InputError: the word is none of those known.
    """
    role = ROLES.get(word.strip().lower())
    if role is None:
        raise InputError(f"{where}: split {word!r} is not known; write train, reserve or test")
    return role
