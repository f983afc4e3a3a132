from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from made_up_images import noise_image
from tenfold.core.errors import InputError
from tenfold.core.types import ImageDataset
from tenfold.data import audit as auditing
from tenfold.data.audit import audit, cleaned
from tenfold.data.load import load


def image(name: object, side: int = 40) -> np.ndarray:
    """Smooth as a photograph is, so that compression changes it little."""
    rough = noise_image(name, side, side).astype(np.float64)
    smooth = gaussian_filter(rough, 3)
    return np.rint((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)


def dataset_of(*rows: tuple[np.ndarray, int, str], groups: list[int] | None = None) -> ImageDataset:
    count = len(rows)
    return ImageDataset(
        name="made up",
        images=np.stack([row[0] for row in rows])[:, None],
        labels=np.array([row[1] for row in rows], np.int64),
        class_names=("a", "b"),
        groups=np.arange(count) if groups is None else np.array(groups),
        sources=tuple(f"{index}.png" for index in range(count)),
        roles=np.array([row[2] for row in rows]),
    )


def recompressed(pixels: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=85)
    return np.asarray(Image.open(buffer))


ONE, TWO, THREE, FOUR = (image(name) for name in ("one", "two", "three", "four"))


def test_a_clean_set_has_no_findings() -> None:
    findings = audit(dataset_of((ONE, 0, "train"), (TWO, 0, "train"), (THREE, 1, "train"), (FOUR, 1, "train")))
    assert findings.counts == {"a": 2, "b": 2}
    (few,) = findings.actions
    assert few.startswith("fewer than 10 images in 'a', 'b': too few to count in a verdict beside larger classes")
    assert findings.exact_within == findings.exact_across == findings.near_within == findings.near_across == ()


@pytest.mark.parametrize("copy", [ONE.copy(), recompressed(ONE), ONE[::-1], np.rot90(ONE), ONE.T, ONE // 2 * 2])
def test_copies_within_a_class_share_a_group(copy: np.ndarray) -> None:
    dataset = dataset_of((ONE, 0, "train"), (TWO, 0, "train"), (copy, 0, "train"), (THREE, 1, "train"))
    findings = audit(dataset)
    assert len(findings.exact_within) + len(findings.near_within) == 1
    groups = cleaned(dataset, findings).groups
    assert groups[0] == groups[2]
    assert len(set(groups)) == 3


def test_given_groups_are_kept_and_joined() -> None:
    rows = [(ONE, 0, "train"), (TWO, 0, "train"), (ONE, 0, "train"), (THREE, 1, "train"), (FOUR, 1, "train")]
    dataset = dataset_of(*rows, groups=[7, 7, 9, 9, 3])
    groups = cleaned(dataset, audit(dataset)).groups
    assert groups[0] == groups[1] == groups[2] == groups[3] != groups[4]


def test_an_image_in_two_classes_is_left_out_and_listed() -> None:
    dataset = dataset_of((ONE, 0, "train"), (TWO, 0, "train"), (ONE, 1, "train"), (THREE, 1, "train"))
    result = cleaned(dataset, findings := audit(dataset))
    assert findings.exact_across == (("0.png", "2.png"),)
    assert result.sources == ("1.png", "3.png")
    assert [entry.source for entry in result.set_aside] == ["0.png", "2.png"]
    assert "two classes" in result.set_aside[0].reason


def test_near_copies_across_classes_are_only_reported() -> None:
    dataset = dataset_of(
        (ONE, 0, "train"), (TWO, 0, "train"), (recompressed(ONE), 1, "train"), (ONE[::-1], 1, "train")
    )
    findings = audit(dataset)
    assert ("0.png", "2.png") in findings.near_across
    assert any("check" in warning for warning in findings.warnings)
    assert len(cleaned(dataset, findings)) == 4


@pytest.mark.parametrize(
    ("copy", "role", "other", "left"),
    [
        (ONE.copy(), "train", "test", 2),
        (ONE.copy(), "reserve", "train", 0),
        (ONE.copy(), "test", "reserve", 2),
        (recompressed(ONE), "train", "test", 2),
        (recompressed(ONE), "reserve", "train", 0),
    ],
)
def test_of_copies_between_roles_one_stays(copy: np.ndarray, role: str, other: str, left: int) -> None:
    dataset = dataset_of((ONE, 0, role), (TWO, 0, "train"), (copy, 0, other), (THREE, 1, "train"), (FOUR, 1, "train"))
    result = cleaned(dataset, audit(dataset))
    assert set(dataset.sources) - set(result.sources) == {f"{left}.png"}
    assert [entry.source for entry in result.set_aside] == [f"{left}.png"]


def test_three_copies_across_roles_leave_the_studied_one() -> None:
    dataset = dataset_of((ONE, 0, "test"), (ONE, 0, "reserve"), (ONE, 0, "train"), (TWO, 1, "train"))
    assert cleaned(dataset, audit(dataset)).sources == ("2.png", "3.png")


def test_a_class_that_is_a_copy_of_another_is_refused() -> None:
    dataset = dataset_of((ONE, 0, "train"), (TWO, 0, "train"), (ONE, 1, "train"))
    with pytest.raises(InputError, match="every image of class 'b'"):
        cleaned(dataset, audit(dataset))


def test_odd_classes_and_images_are_warned_of() -> None:
    grey = np.full((40, 40), 90, np.uint8)
    rows = [(image(index), 0, "train") for index in range(25)]
    findings = audit(dataset_of(*rows, (grey, 1, "train")))
    assert findings.constant == ("25.png",)
    assert findings.single_image_classes == ("b",)
    assert findings.imbalance == 25
    text = " ".join(findings.warnings + findings.actions)
    for part in ("cannot be evaluated", "constant colour", "25 times"):
        assert part in text


def test_a_patient_in_study_and_test_is_warned_of() -> None:
    dataset = dataset_of((ONE, 0, "train"), (TWO, 1, "train"), (THREE, 0, "test"), groups=[1, 2, 1])
    assert any("both in the study and outside" in warning for warning in audit(dataset).warnings)


def test_too_many_images_are_not_compared_in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "MOST_COMPARISONS", 3)
    findings = audit(dataset_of((ONE, 0, "train"), (ONE, 0, "train"), (recompressed(ONE), 0, "train")))
    assert findings.exact_within == (("0.png", "1.png"),)
    assert findings.near_within == ()
    assert any("near duplicates" in warning for warning in findings.warnings)


def test_cleaning_twice_changes_nothing() -> None:
    dataset = dataset_of(
        (ONE, 0, "train"), (ONE, 0, "train"), (TWO, 0, "test"), (TWO, 0, "train"), (THREE, 1, "train")
    )
    once = cleaned(dataset, audit(dataset))
    twice = cleaned(once, audit(once))
    assert twice.fingerprint() == once.fingerprint()


def test_findings_are_plain_json() -> None:
    assert json.loads(json.dumps(audit(load("digits")).to_json()))["counts"]["0"] == 20


@pytest.mark.parametrize("name", ["digits", "faces", "wbc", "svhn", "emnist_letters"])
def test_strangers_in_real_sets_are_not_taken_for_copies(name: str, request: pytest.FixtureRequest) -> None:
    """The one pair is real: cells 112 and 139 of wbc are the same image."""
    if name != "digits":
        request.getfixturevalue("data_directory")
    dataset = load(name, images=None if name in ("faces", "wbc") else 1000)
    findings = audit(dataset)
    assert findings.near_within == findings.near_across == ()
    assert len(findings.exact_within) == (name == "wbc")
    assert np.bincount(cleaned(dataset, findings).groups).max() <= 2
