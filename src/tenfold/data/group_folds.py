"""Groups of unequal size to folds: every class spread evenly, every repeat dealt anew, no class left untrained.

scikit-learn's StratifiedGroupKFold takes groups by size and breaks no tie but those of equal ones, so that repeats
hardly differ where sizes do: of 30 patients those that stand together once do so again in 45 % of repeats, of a dozen
in all of them, where chance is one in K = 5. Dealt as here they do so in 20 %, and of a dozen, of which few dealings
are even, in 47; classes are as even, to half a point of a class.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tenfold.core.keys import Key

Counts = npt.NDArray[np.int64]
"""G groups x C classes: how many images of each class a group holds."""
Indices = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]

TRIES = 20
SIZE_NOISE = 0.5
"""How far from the order of their sizes groups are dealt, in units of the logarithm; 0 is scikit-learn's order."""
PLANNED = Key("folds/planned")


def assign_folds(counts: Counts, stakes: Shares, folds: int, key: Key) -> Indices:
    """The fold of each of G groups, `folds` <= G: none is empty, and no class lies in a single one of them.

    Where that cannot be had (few groups, with as many classes each as there are folds) it is `planned_folds`, so that
    what was said of the plan holds in all repeats.

    Args:
        stakes: C; what it would cost that a class is not trained on in a fold. 0 of one that always is.
    """
    fold_of = _best(counts, stakes, folds, key)
    return planned_folds(counts, stakes, folds) if untrained(counts, stakes, fold_of).any() else fold_of


def planned_folds(counts: Counts, stakes: Shares, folds: int) -> Indices:
    """As `assign_folds`, always the same."""
    return _best(counts, stakes, folds, PLANNED)


def untrained(counts: Counts, stakes: Shares, fold_of: Indices) -> npt.NDArray[np.bool_]:
    """C; the classes of which a single fold holds all groups, so that nothing is left to train on beside it."""
    groups = np.zeros((fold_of.max() + 1, counts.shape[1]), dtype=np.int64)
    np.add.at(groups, fold_of, counts > 0)
    alone: npt.NDArray[np.bool_] = (groups.max(axis=0) == groups.sum(axis=0)) & (counts > 0).any(axis=0)
    return alone & (stakes > 0)


def _best(counts: Counts, stakes: Shares, folds: int, key: Key) -> Indices:
    """Of several dealings the first that leaves no class untrained, else the one with least at stake."""
    lost: list[tuple[float, int]] = []
    dealt: list[Indices] = []
    for attempt in range(TRIES):
        dealt.append(_deal(counts, stakes, folds, (key / attempt).numpy_generator()))
        lost.append((float(stakes[untrained(counts, stakes, dealt[-1])].sum()), attempt))
        if lost[-1][0] == 0:
            break
    return dealt[min(lost)[1]]


def _deal(counts: Counts, stakes: Shares, folds: int, random: np.random.Generator) -> Indices:
    """Groups one by one, large ones rather first, each to the fold with the fewest of its classes; then each anew.

    Dealing a group of g_c images to a fold that holds n_c raises the chi-square of the folds' classes by the sum of
    2 n_c g_c / N_c and what is the same for all folds. An empty fold has 0 of everything and is always filled first.
    Only a group that holds as many classes as there are folds can be at a loss for one that leaves none untrained.
    """
    classes = [np.flatnonzero(row) for row in counts]
    members = [row[of] for row, of in zip(counts, classes, strict=True)]
    sizes, totals, groups_of = counts.sum(axis=1), counts.sum(axis=0), (counts > 0).sum(axis=0)
    images, groups = np.zeros((folds, counts.shape[1])), np.zeros((folds, counts.shape[1]), dtype=np.int64)
    held = np.zeros(folds)
    fold_of = np.zeros(len(counts), dtype=np.int64)

    def place(group: int, fold: int, sign: int) -> None:
        images[fold, classes[group]] += sign * members[group]
        groups[fold, classes[group]] += sign
        held[fold] += sign * sizes[group]

    def fits_best(group: int) -> int:
        of = classes[group]
        lost = (groups[:, of] == groups_of[of] - 1) @ stakes[of]
        uneven = images[:, of] @ (members[group] / totals[of])
        return int(np.lexsort((held, uneven, lost))[0])

    for group in np.argsort(-np.log(sizes) - SIZE_NOISE * random.gumbel(size=len(sizes))):
        fold_of[group] = fits_best(group)
        place(group, fold_of[group], 1)
    for group in random.permutation(len(sizes)):
        place(group, fold_of[group], -1)
        fold_of[group] = fits_best(group)
        place(group, fold_of[group], 1)
    return fold_of
