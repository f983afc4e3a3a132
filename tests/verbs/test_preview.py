from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_folders import write_folders
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

import tenfold
from made_up_sets import QUICK_CGAN, QUICK_RESTYLE, easy_set, easy_vectors
from tenfold.cli import app
from tenfold.core.errors import InputError
from tenfold.methods import Method, method_class, method_names
from tenfold.training.recipe import Recipe
from tenfold.verbs.preview import Preview, preview
from tenfold.verbs.preview_sheets import DRAWS, PAIRS, class_shares

DATA = easy_set([6, 4, 3])


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def share_of(part: str) -> tuple[float, str]:
    share, _, name = part.partition(" % ")
    return float(share), name


def is_sane(drawn: Preview, rows: int) -> bool:
    image = Image.open(drawn.file)
    return image.format == "PNG" and image.width > 500 and 112 * rows < image.height < 112 * rows + 1000


def shortened(name: str) -> str:
    if name == "restyle":
        return QUICK_RESTYLE
    alarm = "" if hasattr(method_class(name).Config, "least_diversity") else "least_diversity=0,"
    return QUICK_CGAN.replace("cgan", name).replace(alarm, "") if method_class(name).trains_generator else name


NOTHING_TO_SEE = {"placebo", "oracle", "manifold", "label_smoothing", "related", "probe", "transfer", "classifier"}


@pytest.mark.parametrize("name", method_names())
def test_every_method_gives_a_sheet_or_says_why_not(name: str, tmp_path: Path) -> None:
    if name in NOTHING_TO_SEE:
        with pytest.raises(InputError, match=f"^{name} .*there is nothing to see"):
            preview(name, DATA, "sheet.png")
        assert not list(tmp_path.iterdir())
        return
    drawn = preview(shortened(name), DATA, "sheet.png", rows=2)
    assert is_sane(drawn, 2)
    assert drawn.method == shortened(name)
    assert all(caption for row in drawn.captions for caption in row), "every image says what it is"


def test_mixing_is_captioned_with_the_shares_of_the_label(tmp_path: Path) -> None:
    drawn = tenfold.preview("mixup(alpha=1)", DATA, "sheet.png", rows=5)
    assert [row[0] for row in drawn.captions] == [
        ("class 0",), ("class 0",), ("class 1",), ("class 1",), ("class 2",),
    ]  # fmt: skip
    assert {len(row) for row in drawn.captions} == {DRAWS + 1}
    blends = [caption for row in drawn.captions for caption in row[1:] if caption]
    for caption in blends:
        parts = [share_of(part) for part in caption]
        assert 97 <= sum(share for share, _ in parts) <= 101
        assert [share for share, _ in parts] == sorted((share for share, _ in parts), reverse=True)
        assert {name for _, name in parts} <= set(DATA.class_names)
    assert max(map(len, blends)) == 2
    assert drawn.law is not None
    assert (drawn.law.name, len(drawn.law.shares)) == ("Beta(1, 1)", 4000)
    assert np.median(drawn.law.largest_shares) == pytest.approx(0.75, abs=0.02)
    assert drawn.sentence == f"mixup(alpha=1) on made-up easy: 30 images in sheet.png. {drawn.law.sentence}"


def test_classes_below_one_percent_are_not_named() -> None:
    names = ("three", "eight", "one")
    assert class_shares(np.array([0.3, 0.7, 0], np.float32), names) == ("70 % eight", "30 % three")
    assert class_shares(np.array([0.004, 0.4, 0.596], np.float32), names) == ("60 % one", "40 % eight")


class Tilt:
    """Says what it does; darkens each image by its own draw."""

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return self.described(images, labels, generator)[:2]

    def described(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, list[str]]:
        by = torch.rand(len(images), generator=generator)
        dark = images - by.view(-1, 1, 1, 1)
        return (
            dark.clamp(-1, 1),
            labels,
            [f"light -{each:.2f}, {float(image.mean()):.3f}" for each, image in zip(by, images, strict=True)],
        )


@pytest.fixture
def telling_classical(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(self: Method, *_: object) -> Recipe:
        return Recipe(transforms=(Tilt(),))

    monkeypatch.setattr(method_class("classical"), "fit", fit)


@pytest.mark.usefixtures("telling_classical")
def test_a_transform_that_can_tell_is_quoted_for_the_image_it_changed() -> None:
    drawn = preview("classical", DATA, rows=3)
    original = replace(DATA).images.astype(float).mean((1, 2, 3)) / 127.5 - 1
    for row in drawn.captions:
        assert row[0] is not None
        values = [caption for caption in row[1:] if caption]
        assert all(len(caption) == 2 and caption[0].startswith("light -0.") for caption in values)
        assert len({caption[0] for caption in values}) > 1, "a draw each"
        (mean,) = {caption[1] for caption in values}
        assert np.abs(original[DATA.labels == int(row[0][0][-1])] - float(mean)).min() < 2e-3
    assert drawn.law is None


@pytest.mark.usefixtures("telling_classical")
def test_of_transforms_joined_only_what_holds_of_the_whole_blend_is_told() -> None:
    before, after = (
        [caption for row in preview(arm, DATA, rows=3).captions for caption in row[1:] if caption]
        for arm in ("classical+mixup", "mixup+classical")
    )
    assert all("%" in part for caption in before for part in caption)
    assert all("%" in caption[0] and caption[-2].startswith("light") for caption in after)


def test_what_a_study_would_choose_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(f"{preview.__module__}.preview_png", lambda sheet: shown.append(sheet.note) or b"")
    preview("classical", DATA, rows=1)
    preview("classical(policy=strong,flips=no)", DATA, rows=1)
    assert (
        "A study chooses some of classical by its validation images; shown is policy=standard, flips=no." in shown[0]
    )
    assert "validation images" not in shown[1]


def test_a_generator_is_trained_and_its_images_stand_beside_their_nearest_real_ones() -> None:
    drawn = preview(QUICK_CGAN, DATA, rows=2)
    assert is_sane(drawn, 2)
    for label, row in enumerate(drawn.captions):
        assert len(row) == 2 * PAIRS
        assert set(row[::2]) == {(f"class {label}",)}
        assert all(caption and caption[0] in DATA.class_names for caption in row[1::2])


def test_a_class_of_one_image_fills_its_row_too() -> None:
    assert None not in preview(QUICK_CGAN, easy_set([6, 1])).captions[1]


def test_raw_shows_the_real_images() -> None:
    drawn = preview("raw", DATA, rows=2)
    shown = [caption for row in drawn.captions for caption in row if caption]
    assert sorted(shown) == sorted([("class 0",)] * 5 + [("class 1",)] * 4 + [("class 2",)] * 3)


def test_the_same_seed_gives_the_same_bytes_and_another_others() -> None:
    for method in ("classical+mixup", QUICK_CGAN):
        files = [preview(method, DATA, rows=1, seed=seed).file for seed in (0, 0, 1)]
        first, again, other = (hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
        assert first == again
        assert first != other


def test_files_are_named_by_method_and_data_and_never_overwritten(tmp_path: Path) -> None:
    odd = replace(DATA, name="my cells/a:b")
    names = [preview("classical(policy=light)", odd, rows=1).file.name for _ in range(3)]
    stem = "preview-classical-policy-light-my-cells-a-b"
    assert names == [f"{stem}.png", f"{stem}-2.png", f"{stem}-3.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize(
    ("out", "complaint"), [("mine.png", "exists and nothing is overwritten"), ("sheet.jpg", "the sheet is a PNG")]
)
def test_a_file_that_cannot_be_written_is_told_before_anything_is_read(
    out: str, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.png").write_text("keep")
    with pytest.raises(InputError, match=complaint):
        preview("mixup", "not looked at", out)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("mine.png", "keep")]


def test_a_method_of_hidden_activations_has_nothing_to_show(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(self: Method, *_: object) -> Recipe:
        return Recipe(objective=lambda *_: (torch.zeros(()), torch.zeros(1, 1)))

    monkeypatch.setattr(method_class("mixup"), "fit", fit)
    with pytest.raises(InputError, match="mixes the hidden activations of the network and no images"):
        preview("mixup", DATA)
    monkeypatch.setattr(method_class("mixup"), "mixes_labels", False)
    with pytest.raises(InputError, match="changes how the classifier learns and no image"):
        preview("mixup", DATA)


def test_vectors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds vectors of features"):
        preview("mixup", easy_vectors([4, 4]))
    assert not list(tmp_path.iterdir())


def test_one_image_is_enough() -> None:
    assert is_sane(preview("classical+mixup", easy_set([1], (3, 8, 8))), 1)


def test_the_command_prints_a_sentence_or_one_document(tmp_path: Path) -> None:
    folder = write_folders(tmp_path / "set", [4, 3], (3, 12, 12))
    said = CliRunner().invoke(app, ["preview", "mixup", str(folder), "--rows", "2", "--out", "sheet.png"])
    assert said.exit_code == 0
    assert said.stdout.startswith("mixup on set: 12 images in sheet.png. Half of all blends keep at least 9")
    document = preview("mixup", folder, rows=2, seed=1).to_json()
    assert (document["file"], document["method"], document["data"]) == ("preview-mixup-set.png", "mixup", "set")
    assert [row[0] for row in document["captions"]] == [["a"], ["b"]]
    assert (document["law"]["name"], document["law"]["pictures"]) == ("Beta(0.2, 0.2)", 2)
