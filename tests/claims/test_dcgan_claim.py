from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_results import context

import tenfold
from made_up_sets import SHORT, easy_set
from tenfold.claims import dcgan, lesions
from tenfold.claims.lesions import deal, pool, study_of, turned
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators import filtering
from tenfold.methods import MethodFailed
from tenfold.training.recipe import Recipe

TINY = dcgan.Scale(size=8, amounts=(2, None), steps=6, generator_steps=4, cells=(("quick", 8, 7),))


def made_up(name: str, size: int) -> ImageDataset:
    """Four classes of 3, 12, 80 and 18 images: too few, fewer than wanted, more than wanted, fewer again."""
    assert name == "wbc"
    return easy_set((3, 12, 80, 18), (3, size, size), noise=60, key="cells")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Short trainings on made-up cells."""

    def forget() -> None:
        pool.cache_clear()
        lesions.fold_of.cache_clear()

    monkeypatch.setattr(dcgan, "QUICK", TINY)
    monkeypatch.setattr(filtering, "FILTER", SHORT)
    monkeypatch.setattr(lesions, "load", made_up)
    monkeypatch.setattr(lesions, "CELLS", 40)
    forget()
    yield
    forget()


def test_the_numbers_of_images_are_the_published() -> None:
    assert sum(lesions.WANTED) == 182
    assert lesions.CELLS * (1 + lesions.TURNED) == 640
    for scale in (dcgan.FULL, dcgan.QUICK):
        assert scale.amounts[-1] is None, "the last amount of classical augmentation has no end"


@pytest.mark.usefixtures("tiny")
def test_the_three_largest_classes_stay_and_copies_go(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_a_copy(name: str, size: int) -> ImageDataset:
        data = made_up(name, size)
        data.images[20] = data.images[21]
        return data

    monkeypatch.setattr(lesions, "load", with_a_copy)
    data = pool(8)
    assert data.class_names == ("class 2", "class 3", "class 1")
    assert data.counts().tolist() == [79, 18, 12]


@pytest.mark.usefixtures("tiny")
def test_a_seed_takes_one_image_of_each_pile() -> None:
    data = pool(8)
    piles = deal(data.labels)
    assert sorted(np.concatenate(piles).tolist()) == list(range(len(data)))
    assert len(piles) == 65 + 18 + 12
    place = {int(group): number for number, pile in enumerate(piles) for group in data.groups[pile]}
    studies = [study_of(data, Key(f"seed-{seed}")) for seed in range(3)]
    for study in studies:
        assert [place[int(group)] for group in study.groups] == list(range(len(piles)))
        assert study.counts().tolist() == [65, 18, 12]
    assert len({study.sources for study in studies}) == 3


@pytest.mark.usefixtures("tiny")
def test_folds_are_disjoint_and_differ_from_seed_to_seed() -> None:
    folds = [lesions.fold_of(8, 0, fold) for fold in range(3)]
    study = folds[0][0]
    assert sorted(np.concatenate([split.test for _, split in folds]).tolist()) == list(range(len(study)))
    for _, split in folds:
        parts = [split.train, split.validation, split.test]
        assert all(len(np.unique(study.labels[part])) == 3 for part in parts)
        assert sorted(np.concatenate(parts).tolist()) == list(range(len(study)))
    assert folds[0][1].test.tolist() != lesions.fold_of(8, 1, 0)[1].test.tolist()


@pytest.mark.usefixtures("tiny")
def test_turned_copies_have_the_label_and_the_group_of_their_parent() -> None:
    data = pool(8)
    more = turned(data, Key("a"), 2)
    assert len(more) == 3 * len(data)
    assert (more.images[: len(data)] == data.images).all()
    label_of = dict(zip(data.groups.tolist(), data.labels.tolist(), strict=True))
    assert [label_of[group] for group in more.groups.tolist()] == more.labels.tolist()
    assert np.bincount(more.groups)[data.groups].tolist() == [3] * len(data)
    assert len(np.unique(more.images, axis=0)) > 2.9 * len(data)


class Recorder:
    """A method that remembers what it was given and then fails."""

    given: ImageDataset

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        assert reserve is None
        self.given = train
        raise MethodFailed("made up")


def image_settings(fold: int) -> dict[str, Any]:
    return {"part": "pictures", "seed": 3, "fold": fold, "size": 8, "generator_steps": 4}


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("fold", range(3))
def test_no_generator_is_given_test_images_or_validation_ones(
    fold: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recorder = Recorder()
    monkeypatch.setattr(lesions, "make_method", lambda name, options: recorder)
    result = lesions.draw_lesions(image_settings(fold), context(tmp_path))
    study, split = lesions.fold_of(8, 3, fold)
    assert set(recorder.given.groups) == set(study.groups[split.train])
    unseen = np.concatenate([split.test, split.validation])
    assert not set(recorder.given.groups) & set(study.groups[unseen])
    assert not {i.tobytes() for i in study.images[unseen]} & {i.tobytes() for i in recorder.given.images}
    assert result["failed"] == "made up"
    assert result["used"] == [0, 0, 0]


@pytest.mark.usefixtures("tiny")
def test_where_the_generator_failed_both_arms_are_equal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make_method = lesions.make_method
    monkeypatch.setattr(lesions, "make_method", lambda name, options: Recorder())
    drawn = context(tmp_path)
    lesions.draw_lesions(image_settings(1), drawn)
    monkeypatch.setattr(lesions, "make_method", make_method)
    common = {**image_settings(1), "part": "lesions", "amount": 2, "steps": 6}
    results = [
        lesions.judge_fold(common | {"arm": arm}, context(tmp_path, drawn=drawn.directory)) for arm in lesions.ARMS
    ]
    assert results[0] == results[1]


def test_the_course_of_a_training_is_told_in_parts(tmp_path: Path) -> None:
    lines: list[Mapping[str, Any]] = [{"step": step, "critic_loss": float(step)} for step in range(1, 11)]
    lines = [*lines, {"step": 10, "diversity": 0.5}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = lesions.course(tmp_path / "metrics.jsonl", 10)
    assert [(part["from"], part["to"], part["critic_loss"]) for part in result] == [
        (start, start + 1, start + 0.5) for start in (1, 3, 5, 7, 9)
    ]


@pytest.mark.usefixtures("tiny")
def test_a_tiny_repetition_is_told_in_full(tmp_path: Path) -> None:
    result = tenfold.reproduce("dcgan", quick=True, seeds=2, out=tmp_path / "a", workers=1)
    kept = json.loads((tmp_path / "a" / "claim.json").read_text())
    assert kept["they_say"]["effect_points"] == 7.1
    assert kept["samples"]["test_images"] == 65 + 18 + 12
    macro, classes, differences, amounts, course = kept["tables"]

    cells = {row["name"]: row["cells"] for row in macro["rows"]}
    assert {name: row[0]["estimate"] / 100 for name, row in cells.items()} == pytest.approx(
        dcgan.Claim().text.they_say.values
    )
    for what, cell in zip(differences["columns"], differences["rows"][0]["cells"], strict=True):
        with_dcgan, without = (cells[f"{what}, {arm}"][1]["estimate"] for arm in lesions.ARMS[::-1])
        assert cell["estimate"] == pytest.approx(with_dcgan - without, abs=2e-3)
        of_classes = [row["cells"][classes["columns"].index(f"{what}, classical")] for row in classes["rows"]]
        assert np.mean([one["estimate"] for one in of_classes]) == pytest.approx(without, abs=2e-3)
    assert differences["rows"][0]["cells"][0]["estimate"] == kept["we_measured"]["effect_points"]
    assert sum(row["cells"][2]["estimate"] for row in amounts["rows"]) == pytest.approx(100)
    assert len(course["rows"]) == 5

    trials = [json.loads(path.read_text()) for path in (tmp_path / "a" / "jobs").glob("*/result.json")]
    used = {_place(one): sum(one["result"]["used"]) for one in trials if one["config"]["part"] == "pictures"}
    assert sum(used.values()) > 0
    more = {
        (*_place(one), one["config"]["amount"], one["config"]["arm"]): one["result"]["more_images"]
        for one in trials
        if one["config"]["part"] == "lesions"
    }
    for place, count in used.items():
        for amount in TINY.amounts:
            without, with_dcgan = (more[*place, amount, arm] for arm in lesions.ARMS)
            assert with_dcgan == without + count

    (image,) = kept["pictures"]
    assert (tmp_path / "a" / image["file"]).read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "a" / "report.html").read_text("utf-8")
    for word in ("85.7", "92.4", "classical + dcgan", image["title"], "data:image/png"):
        assert word in page
    assert "nearer to a cell that was learned from" in image["caption"]
    assert result.holds in ("yes", "smaller", "no", "not_shown")


def _place(trial: Mapping[str, Any]) -> tuple[int, int]:
    return trial["config"]["seed"], trial["config"]["fold"]


@pytest.mark.usefixtures("data_directory")
def test_the_cells_are_as_many_as_said() -> None:
    pool.cache_clear()
    data = pool(32)
    assert data.class_names == ("neutrophil", "lymphocyte", "monocyte")
    # Each cell once: some stand in the set twice, photographed anew.
    assert study_of(data, Key("seed-0")).counts().tolist() == [65, 51, 46]
