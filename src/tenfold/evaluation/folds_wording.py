"""The folds that a first look rests on, in words."""

from __future__ import annotations

from collections.abc import Sequence


def folds_words(folds: Sequence[int], of: int) -> str:
    """(0, 1, 2) of 5, counted from 0, as `folds 1 to 3 of 5`."""
    numbers = [str(fold + 1) for fold in folds]
    if len(folds) == 1:
        return f"fold {numbers[0]} of {of}"
    if len(folds) > 2 and folds[-1] - folds[0] == len(folds) - 1:
        return f"folds {numbers[0]} to {numbers[-1]} of {of}"
    return f"folds {', '.join(numbers[:-1])} and {numbers[-1]} of {of}"
