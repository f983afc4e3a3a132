import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.keys import Key
from tenfold.evaluation.choice import UNSETTLED, cross_fitted_choice
from tenfold.evaluation.crossed import choice_variance, crossed_variance
from tenfold.evaluation.strata import Strata


def drawn(seed, arms=2, groups=12, repeats=3, folds=3):
    draw = (Key("choice") / seed).numpy_generator()
    evidence = draw.normal(0.05, 1, (2, arms, groups, repeats))
    judged_in = np.stack([draw.permutation(groups) % folds for _ in range(repeats)], axis=1)
    return evidence, judged_in, [(repeat, fold) for repeat in range(repeats) for fold in range(folds)]


def slow_strength(evidence, folds, places, repeats):
    """One place, one kind and one candidate at a time."""
    for repeat, fold in places:
        others = [other for other in range(repeats) if other != repeat] or [repeat]
        for candidate in range(len(evidence[0])):
            total = 0.0
            for kind in evidence:
                outside = [g for g in range(len(folds)) if folds[g][repeat] != fold]
                means = [np.mean([kind[candidate][g][other] for other in others]) for g in outside]
                total += np.mean(means) / (np.std(means, ddof=1) / np.sqrt(len(means)))
            yield candidate, (repeat, fold), total


@given(st.integers(0, 2**32), st.integers(1, 4))
def test_the_choice_against_loops(seed, repeats):
    evidence, folds, places = drawn(seed, repeats=repeats)
    choice = cross_fitted_choice(["one", "other"], evidence, folds, places)
    for candidate, place, total in slow_strength(evidence, folds, places, repeats):
        assert choice.strength[candidate, places.index(place)] == pytest.approx(total)
    for index, place in enumerate(places):
        assert choice.at(place) == choice.names[choice.strength[:, index].argmax()]
    assert choice.nothing_preferred == (choice.strength <= 0).all()


@given(st.integers(0, 2**32))
def test_no_image_and_no_training_judges_what_it_chose(seed):
    """Whatever happened on a fold's images, and in its own repeat, the fold's choice stays."""
    evidence, folds, places = drawn(seed)
    before = cross_fitted_choice(["one", "other"], evidence, folds, places)
    for repeat, fold in places:
        changed = evidence.copy()
        changed[:, :, folds[:, repeat] == fold, :] += 100
        changed[..., repeat] -= 50
        after = cross_fitted_choice(["one", "other"], changed, folds, places)
        index = places.index((repeat, fold))
        assert after.strength[:, index] == pytest.approx(before.strength[:, index])


def test_groups_are_judged_by_the_arm_that_their_fold_chose():
    evidence, folds, places = drawn(7)
    choice = cross_fitted_choice(["one", "other"], evidence, folds, places)
    differences = evidence[0]
    table = choice.judged(differences, folds)
    for group, repeat in np.ndindex(*folds.shape):
        arm = choice.names.index(choice.at((repeat, int(folds[group, repeat]))))
        assert table[group, repeat] == differences[arm][group, repeat]
    means = [differences[choice.names.index(choice.at(place))].mean() for place in places]
    strata = Strata(np.arange(12) % 2, np.full(12, 1 / 12))
    images = crossed_variance(table, folds, strata=strata).images
    unsettled = UNSETTLED * choice.disagreement * images
    expected = choice_variance(np.reshape(means, (3, 3))) + unsettled
    assert choice.variance(differences, folds, strata) == pytest.approx(expected)


def test_the_leading_arm_is_the_one_that_most_places_chose_and_of_equals_the_stronger():
    evidence = np.zeros((1, 3, 6, 2))
    evidence[0, 1] = np.arange(6)[:, None] + 1.0
    evidence[0, 2] = 2 * evidence[0, 1]  # as certain
    folds, places = np.tile(np.arange(6) % 2, (2, 1)).T, [(0, 0), (0, 1), (1, 0), (1, 1)]
    choice = cross_fitted_choice(["none", "good", "also"], evidence, folds, places)
    assert choice.leading == "good"
    assert choice.counts == {"good": 4}
