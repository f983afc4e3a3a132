"""What the validation images of folds chose, in words."""

from __future__ import annotations

from collections.abc import Mapping


def ratio_words(ratios: Mapping[str, int]) -> str:
    """How many new images for each real one the validation images preferred: `no new images in 12 of 20 folds,
    ...`.
    """
    folds = sum(ratios.values())
    words: list[str] = []
    for ratio, times in sorted(ratios.items(), key=lambda item: float(item[0])):
        new = f"{ratio}{'' if words else ' new'} for each real one" if float(ratio) else "no new images"
        of_all = f"all {folds}" if times == folds else f"{times}" if words else f"{times} of {folds}"
        words.append(f"{new} in {of_all}{'' if words else ' fold' if folds == 1 else ' folds'}")
    return ", ".join(words)


def selection_words(selected: Mapping[str, int]) -> str:
    """What the validation images chose for open options: `classical(policy=standard,flips=no) in 12 of 20 folds,
    ...`.
    """
    folds = sum(selected.values())
    first, *others = (f"{options} in {times}" for options, times in selected.items())
    return ", ".join([f"{first} of {folds} {'fold' if folds == 1 else 'folds'}", *others])
