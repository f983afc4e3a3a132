from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from tenfold.core.keys import Key
from tenfold.data.group_folds import assign_folds, planned_folds, untrained

FOLDS, REPEATS = 5, 40
Indices = npt.NDArray[np.int64]


def patients(groups: int, classes: int, *, mixed: bool) -> Indices:
    """Groups x classes: patients of lognormal sizes, each with images of one class or of several.

    None has as many of a class as a fold: such a one stands apart in all repeats, as it should.
    """
    random = Key(f"patients/{groups}/{classes}/{mixed}").numpy_generator()
    sizes = np.ceil(random.lognormal(1.5, 0.7, groups)).astype(int)
    pure = np.eye(classes)[np.arange(groups) % classes]
    shares = random.dirichlet(np.ones(classes), groups) if mixed else pure
    return np.stack([random.multinomial(size, share) for size, share in zip(sizes, shares, strict=True)])


SETS = {
    "30 patients": patients(30, 2, mixed=False),
    "30 patients of several classes": patients(30, 3, mixed=True),
    "100 patients": patients(100, 4, mixed=False),
    "100 patients of several classes": patients(100, 6, mixed=True),
}


def repeats_of(counts: Indices) -> list[Indices]:
    return [assign_folds(counts, np.ones(counts.shape[1]), FOLDS, Key("dealt") / repeat) for repeat in range(REPEATS)]


def by_scikit_learn(counts: Indices, seed: int) -> Indices:
    groups, labels = (np.repeat(index, counts.ravel()) for index in np.indices(counts.shape).reshape(2, -1))
    fold_of = np.zeros(len(counts), int)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for fold, (_, test) in enumerate(splitter.split(labels, labels, groups)):
        fold_of[groups[test]] = fold
    return fold_of


def together_again(repeats: list[Indices]) -> float:
    """Of the pairs of groups that share a fold in one repeat, the share that does so in another."""
    pairs = np.stack([fold_of[:, None] == fold_of for fold_of in repeats])[:, *np.triu_indices(len(repeats[0]), 1)]
    times = pairs.sum(axis=0)
    return float((times * (times - 1)).sum() / (times * (len(repeats) - 1)).sum())


def unevenness(counts: Indices, fold_of: Indices) -> float:
    """The standard deviation over the folds of their share of a class, mean over classes."""
    held = np.zeros((FOLDS, counts.shape[1]))
    np.add.at(held, fold_of, counts)
    return float(np.std(held / counts.sum(axis=0), axis=0).mean())


@pytest.mark.parametrize("name", SETS)
def test_each_repeat_deals_the_groups_anew(name: str) -> None:
    assert together_again(repeats_of(SETS[name])) == pytest.approx(1 / FOLDS, abs=0.015)


def test_scikit_learn_deals_the_same_pairs_again() -> None:
    """Why the dealing is our own: once this fails it need not be."""
    counts = SETS["30 patients"]
    assert together_again([by_scikit_learn(counts, seed) for seed in range(10)]) > 0.3


@pytest.mark.parametrize("name", SETS)
def test_classes_are_as_even_as_scikit_learn_makes_them(name: str) -> None:
    counts = SETS[name]
    theirs = np.mean([unevenness(counts, by_scikit_learn(counts, seed)) for seed in range(10)])
    ours = np.mean([unevenness(counts, fold_of) for fold_of in repeats_of(counts)])
    assert ours < theirs + 0.005, "half a point of a class"


def test_large_groups_stand_apart() -> None:
    counts = np.ones((40, 1), int)
    counts[:3] = 20
    for fold_of in repeats_of(counts):
        assert len(set(fold_of[:3])) == 3


def test_many_groups_of_many_classes_are_dealt_at_once() -> None:
    counts = np.eye(100, dtype=int)[np.arange(5000) % 100] * (1 + np.arange(5000) % 7)[:, None]
    fold_of = assign_folds(counts, np.ones(100), FOLDS, Key("many"))
    assert unevenness(counts, fold_of) < 0.01


def test_a_class_of_two_groups_is_trained_on_in_every_fold() -> None:
    # One large group holds both rare classes: whatever balance says, their other groups must lie elsewhere.
    counts = np.zeros((12, 3), int)
    counts[:, 0] = 1
    counts[0, 1:], counts[1, 1], counts[2, 2] = 30, 1, 1
    for fold_of in repeats_of(counts):
        assert fold_of[0] not in (fold_of[1], fold_of[2])


def test_where_some_class_must_be_lost_it_is_always_the_same_and_the_one_with_least_at_stake() -> None:
    counts = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]])
    stakes = np.array([2.0, 1.0, 2.0])
    lost = untrained(counts, stakes, planned_folds(counts, stakes, 2))
    assert lost.tolist() == [False, True, False]
    for repeat in range(5):
        assert np.array_equal(untrained(counts, stakes, assign_folds(counts, stakes, 2, Key("lost") / repeat)), lost)
    no_stake = np.array([2.0, 0.0, 2.0])
    assert not untrained(counts, no_stake, assign_folds(counts, no_stake, 2, Key("lost"))).any()
