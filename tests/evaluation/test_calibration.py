import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.keys import Key
from tenfold.evaluation.scores import calibration


def slow_error(rows, labels):
    """Guo et al. 2017, equation 3, one bin and one image at a time: bins are (low, high]."""
    total = 0.0
    for i in range(15):
        hits, confidences = [], []
        for row, label in zip(rows, labels, strict=True):
            if i / 15 < max(row) <= (i + 1) / 15:
                hits.append(float(np.argmax(row) == label))
                confidences.append(max(row))
        if hits:
            total += len(hits) / len(rows) * abs(np.mean(hits) - np.mean(confidences))
    return total


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def simulated(key, n, repeats=3, classes=4):
    """Probabilities, and labels drawn with exactly these probabilities; one of each a repeat."""
    draw = key.numpy_generator()
    probabilities = [softmax(draw.normal(0, 1.5, (n, classes))) for _ in range(repeats)]
    labels = [(draw.random((n, 1)) > rows.cumsum(axis=1)[:, :-1]).sum(axis=1) for rows in probabilities]
    return probabilities, labels


@given(st.integers(0, 2**32), st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(2, 5))
def test_error_is_the_mean_of_the_slow_reference_over_repeats(seed, sizes, classes):
    draw = (Key("slow") / seed).numpy_generator()
    probabilities = [softmax(draw.normal(0, 2, (n, classes))).round(5) for n in sizes]
    labels = [draw.integers(0, classes, n) for n in sizes]
    expected = np.mean([slow_error(*pair) for pair in zip(probabilities, labels, strict=True)])
    told = calibration(probabilities, labels, Key("draws"))
    assert told.error == pytest.approx(expected, abs=1e-9)
    assert 0 <= told.by_chance <= 1


def test_stored_example_computed_by_hand():
    # Bin (0.8, 0.867]: 0.85 and 0.81, one right, gap |0.5 - 0.83|. Bin (0.533, 0.6]: 0.6, wrong, gap 0.6.
    # Bin (0.933, 1]: 1.0, right, gap 0. Weighted: (2 x 0.33 + 0.6 + 0) / 4.
    rows = np.array([[0.85, 0.15], [0.19, 0.81], [0.6, 0.4], [0.0, 1.0]])
    labels = np.array([0, 0, 1, 1])
    assert calibration([rows], [labels], Key("hand")).error == pytest.approx(0.315)
    # In a second repeat all are wrong: gaps 0.83, 0.6 and 1. One repeat's bins never offset another's.
    both = calibration([rows, rows], [labels, 1 - rows.argmax(axis=1)], Key("hand"))
    assert both.error == pytest.approx((0.315 + (2 * 0.83 + 0.6 + 1) / 4) / 2)


@pytest.mark.parametrize("edge", [0.2, 0.4, 0.6, 0.8])
def test_a_confidence_on_an_edge_belongs_to_the_bin_below(edge):
    # Two images of one bin, a right and a wrong one, so that apart the gaps would not cancel.
    rest = (1 - edge) / 6
    rows = np.full((2, 7), rest)
    rows[0, 0], rows[1, 0] = edge, edge - 0.01
    told = calibration([rows], [np.array([0, 1])], Key("edge"))
    assert told.error == pytest.approx(abs(0.5 - (edge - 0.005)))


def test_by_chance_of_one_confidence_is_the_mean_deviation_of_a_binomial():
    # Every confidence 0.75 and n = 4: E|hits / 4 - 0.75| = sum over hits of Binomial(4, 0.75) = 0.158203125
    # in one draw; twenty repeats in each of 200 draws leave a Monte Carlo error of 0.002.
    rows = np.tile([0.75, 0.25], (4, 1))
    for name in range(5):
        told = calibration([rows] * 20, [np.zeros(4, dtype=np.int64)] * 20, Key("binomial") / name)
        assert told.error == pytest.approx(0.25)
        assert told.by_chance == pytest.approx(0.158203125, abs=0.008)


def test_a_calibrated_classifier_is_told_from_an_overconfident_one():
    probabilities, labels = simulated(Key("calibrated"), 600)
    honest = calibration(probabilities, labels, Key("draws"))
    assert honest.error == pytest.approx(honest.by_chance, rel=0.35)
    boasting = [softmax(3 * np.log(rows)) for rows in probabilities]
    told = calibration(boasting, labels, Key("draws"))
    assert told.error > 4 * told.by_chance


def test_chance_alone_shows_less_on_more_images():
    few, many = (calibration(*simulated(Key("sizes"), n), Key("draws")).by_chance for n in (60, 3000))
    assert few > 4 * many > 0


def test_certain_and_right_is_perfect_and_certain_and_wrong_is_the_worst():
    certain, labels = np.eye(3), np.arange(3)
    told = calibration([certain], [labels], Key("certain"))
    assert (told.error, told.by_chance) == (0, 0)
    assert calibration([certain], [(labels + 1) % 3], Key("certain")).error == pytest.approx(1)


def test_the_key_alone_decides_the_draws():
    made = simulated(Key("key"), 50)
    assert calibration(*made, Key("a")) == calibration(*made, Key("a"))
    assert calibration(*made, Key("a")).by_chance != calibration(*made, Key("b")).by_chance


@pytest.mark.parametrize(("images", "labelled"), [([], []), ([3], [2]), ([3, 0], [3, 0]), ([3], [3, 3])])
def test_what_does_not_match_is_refused(images, labelled):
    probabilities = [np.full((n, 2), 0.5) for n in images]
    with pytest.raises(ValueError, match="rows of probabilities for"):
        calibration(probabilities, [np.zeros(n, dtype=np.int64) for n in labelled], Key("refused"))
