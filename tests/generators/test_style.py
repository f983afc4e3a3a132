from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tenfold.core.keys import Key
from tenfold.generators.style import StyleSources, style_correlation, style_features

SIDE = 28


def stroke(slant: float = 0.0, thickness: float = 4.0, dark: bool = False, height: int = 20) -> npt.NDArray[np.uint8]:
    """A bar that leans to the right, with smooth edges: 1 x 28 x 28."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(float)
    middle = (SIDE - 1) / 2
    distance = np.abs(columns - middle + slant * (rows - middle))
    inside = np.clip(thickness / 2 + 0.5 - distance, 0, 1) * (np.abs(rows - middle) <= height / 2)
    image = (255 * inside).round().astype(np.uint8)
    return (255 - image if dark else image)[None]


@given(st.floats(-0.4, 0.4), st.floats(2, 7), st.booleans())
def test_a_stroke_has_the_slant_and_thickness_it_was_drawn_with(slant: float, thickness: float, dark: bool) -> None:
    features = style_features(stroke(slant, thickness, dark)[None])
    assert features["slant"][0] == pytest.approx(slant, abs=0.03)
    # Across the stroke it is less than along a row; what its ends add to the edge is a tenth or two.
    assert features["thickness"][0] == pytest.approx(thickness / (1 + slant**2) ** 0.5, rel=0.25)


def test_features_rise_with_what_they_name() -> None:
    thin, thick = style_features(np.stack([stroke(thickness=2), stroke(thickness=6)]))["ink"]
    assert thick > 2 * thin
    apart = np.stack([stroke(), np.roll(stroke(), 6, 2) | np.roll(stroke(), -6, 2)])
    narrow, wide = style_features(apart)["width"]
    assert wide > 2 * narrow


def test_black_on_white_is_measured_as_white_on_black() -> None:
    light, dark = (style_features(stroke(0.2, dark=dark)[None]) for dark in (False, True))
    for name, values in light.items():
        assert dark[name] == pytest.approx(values, abs=1e-6)


def test_an_empty_image_has_finite_features() -> None:
    for channels in (1, 3):
        features = style_features(np.full((2, channels, 8, 8), 77, np.uint8))
        assert all(np.isfinite(values).all() for values in features.values())


def test_colours_are_measured_by_channel() -> None:
    images = np.zeros((2, 3, 8, 8), np.uint8)
    images[0, 0] = 255
    images[1, :, ::2] = 255
    features = style_features(images)
    assert features["red"].tolist() == [1.0, 0.5]
    assert features["blue"].tolist() == [0.0, 0.5]
    assert features["contrast"].tolist() == [0.0, 0.5]


def pairs(
    count: int = 400, key: str = "pairs"
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], np.random.Generator]:
    random = Key(f"tests/{key}").numpy_generator()
    sources = random.integers(0, 4, count)
    return sources, (sources + random.integers(1, 4, count)) % 4, random


def slow_correlation(before: list[float], after: list[float], cells: list[tuple[int, int]]) -> float:
    top = left = right = 0.0
    for cell in set(cells):
        members = [index for index, other in enumerate(cells) if other == cell]
        middle = [sum(values[i] for i in members) / len(members) for values in (before, after)]
        for i in members:
            a, b = before[i] - middle[0], after[i] - middle[1]
            top, left, right = top + a * b, left + a * a, right + b * b
    return top / (left * right) ** 0.5


def test_the_correlation_is_that_of_a_slow_reference() -> None:
    old, new, random = pairs(60)
    before = random.normal(size=60) + 3 * old
    after = before + random.normal(size=60) - 2 * new
    correlation = style_correlation({"a": before}, {"a": after}, old, new)["a"]
    cells = list(zip(old.tolist(), new.tolist(), strict=True))
    assert correlation == pytest.approx(slow_correlation(before.tolist(), after.tolist(), cells))


def test_what_only_the_classes_share_counts_for_nothing() -> None:
    old, new, random = pairs()
    noise = random.normal(size=(2, 400))
    correlation = style_correlation({"a": noise[0] + 9 * old}, {"a": noise[1] + 9 * old}, old, new)
    assert abs(correlation["a"]) < 0.15
    kept = style_correlation({"a": noise[0] + 9 * old}, {"a": 2 * noise[0] - 9 * new}, old, new)
    assert kept["a"] == pytest.approx(1.0)


def test_a_feature_that_does_not_vary_is_left_out_and_a_collapse_scores_0() -> None:
    old, new, random = pairs()
    varied, still = random.normal(size=400), np.ones(400)
    correlation = style_correlation({"a": still, "b": varied}, {"a": varied, "b": still}, old, new)
    assert correlation == {"b": 0.0}


@given(st.lists(st.integers(0, 2), min_size=2, max_size=12), st.integers(0, 2), st.integers(1, 30))
def test_each_style_comes_once_before_two_are_mixed(labels: list[int], label: int, count: int) -> None:
    own = np.array(labels, dtype=np.int64)
    others = set(np.flatnonzero(own != label).tolist())
    assume(others)
    drawn = StyleSources(own, Key("order"))
    taken = [drawn.next(label, seed) for seed in range(count)]
    singles = [parents[0] for parents, _ in taken[: len(others)]]
    assert len(set(singles)) == len(singles) == min(count, len(others))
    for parents, share in taken:
        assert set(parents) <= others
        assert len(set(parents)) == len(parents)
        assert 0.5 <= share <= 1
    assert all(share == 1 for _, share in taken[: len(others)])
    again = StyleSources(own, Key("order"))
    assert [again.next(label, seed) for seed in range(count)] == taken
