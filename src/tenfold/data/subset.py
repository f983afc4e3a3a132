"""Which of a set's images are studied, and what becomes of the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError
from tenfold.core.keys import Key

LARGEST_RESERVE = 5_000
LARGEST_TEST = 10_000

Indices = npt.NDArray[np.int64]


def choose(
    labels: Indices,
    roles: npt.NDArray[np.str_],
    groups: Indices,
    *,
    per_class: int | None,
    images: int | None,
    key: Key,
    half_of_rest_is_test: bool = False,
) -> tuple[Indices, npt.NDArray[np.str_]]:
    """Indices of the images to read, in their old order, and the role of each.

    Of the images of role `train`, `per_class` a class or `images` in all stay; the others become `reserve`
    (or, with `half_of_rest_is_test`, half of them `test`), except those that share a group with a studied
    image: a patient's other pictures would tell the oracle about the folds. Reserve and test are capped. What was
    grown stays where its parents are studied.

    Raises:
        InputError: both numbers are given, or they are too small.
    """
    roles = roles.astype("<U8")  # wide enough for every role: numpy cuts longer words off in silence
    if per_class is not None or images is not None:
        pool = np.flatnonzero(roles == "train")
        quota = _quota(np.bincount(labels[pool], minlength=int(labels.max()) + 1), per_class, images)
        studied = _draw(pool, labels, quota, key / "subset")
        rest = np.setdiff1d(pool, studied)
        roles[rest] = np.where(np.isin(groups[rest], groups[studied]), "left out", "reserve")
        if half_of_rest_is_test:
            rest = rest[roles[rest] == "reserve"]
            half = np.bincount(labels[rest], minlength=len(quota)) // 2
            roles[_draw(rest, labels, half, key / "test")] = "test"
    studied_groups = groups[roles == "train"]
    kept = [np.flatnonzero((roles == "train") | ((roles == "grown") & np.isin(groups, studied_groups)))]
    for role, cap in (("reserve", LARGEST_RESERVE), ("test", LARGEST_TEST)):
        members = np.flatnonzero(roles == role)
        if len(members) > cap:
            members = _draw(members, labels, shares(np.bincount(labels[members]), cap), key / f"cap-{role}")
        kept.append(members)
    indices = np.sort(np.concatenate(kept))
    return indices, roles[indices]


def shares(counts: Indices, total: int) -> Indices:
    """`total` split in proportion to `counts`; where there are enough, every class that has one gets one."""
    total = min(total, int(counts.sum()))
    exact = counts * (total / int(counts.sum()))
    least = (counts > 0).astype(np.int64) if total >= (counts > 0).sum() else np.zeros_like(counts)
    quota: Indices = np.maximum(np.floor(exact).astype(np.int64), least)
    while quota.sum() != total:
        step = 1 if quota.sum() < total else -1
        possible = (quota < counts) if step > 0 else (quota > least)
        lag = np.where(possible, step * (exact - quota), -np.inf)
        quota[int(np.argmax(lag))] += step
    return quota


def _quota(counts: Indices, per_class: int | None, images: int | None) -> Indices:
    if per_class is not None and images is not None:
        raise InputError("give --per-class or --images, not both")
    if per_class is not None:
        if per_class < 1:
            raise InputError(f"--per-class must be at least 1, not {per_class}")
        return np.minimum(counts, np.int64(per_class))
    classes = int((counts > 0).sum())
    if images is None or images < classes:
        raise InputError(f"--images must be at least {classes}, one for each class, not {images}")
    return shares(counts, images)


def _draw(pool: Indices, labels: Indices, quota: Indices, key: Key) -> Indices:
    """`quota[k]` members of `pool` of each class k; a class's draw does not depend on the other classes."""
    chosen = [
        (key / label).numpy_generator().permutation(pool[labels[pool] == label])[:number]
        for label, number in enumerate(quota)
        if number
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64) if chosen else np.empty(0, np.int64)
