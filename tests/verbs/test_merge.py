"""Merging: each alone, pooled, pooled with DANN, and without one; every image judged by who did not see it."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from made_up_sets import easy_set
from tenfold.adaptation.dann import DomainTask, train_domains
from tenfold.core.errors import InputError
from tenfold.core.files import read_json
from tenfold.core.keys import Key
from tenfold.training.loop import TrainingLoop
from tenfold.verbs.merge import deal_folds, merge
from tenfold.verbs.merge_result import ALIGNED, POOLED, alone_name, gains_json, way_json


def test_two_sets_give_four_ways_and_a_report(tmp_path: Path) -> None:
    sets = [easy_set([9, 9]), easy_set([9, 9], key="other", noise=60)]
    merging = merge(sets, out=tmp_path / "run", steps=20, workers=1)
    assert [way["name"] for way in merging.document["ways"]] == [
        "made-up easy alone", "made-up other alone", "pooled", "pooled + DANN",
    ]  # fmt: skip
    assert all(cell["images"] == 18 for way in merging.document["ways"] for cell in way["cells"])
    assert read_json(tmp_path / "run" / "merge.json")["sentence"] == merging.sentence
    assert "judged on made-up other" in merging.text
    page = unescape((tmp_path / "run" / "report.html").read_text())
    assert f"<h1>{merging.sentence}</h1>" in page
    gains = merging.document["gains"]
    assert len(gains["pooled"]) == 2
    for gain in (*gains["pooled"], gains["aligned"]):
        estimate, low, high = gain["points"]
        assert low <= estimate <= high
        assert f"{estimate:+.1f} points" in merging.sentence
        assert f"({low:+.1f} to {high:+.1f})" in merging.sentence
    out = tmp_path / "run"
    assert merging.document["command"] == f"tenfold adapt 'made-up easy' 'made-up other' --steps 20 --out {out}"
    assert "Learned from, and judged on" in (tmp_path / "run" / "report.html").read_text()
    before = [path.stat().st_mtime_ns for path in sorted((tmp_path / "run" / "jobs").glob("*/result.json"))]
    again = merge(sets, out=tmp_path / "run", steps=20)
    assert again.document["ways"] == merging.document["ways"]
    assert before == [path.stat().st_mtime_ns for path in sorted((tmp_path / "run" / "jobs").glob("*/result.json"))]


def test_of_three_each_is_left_out_once_and_no_image_judges_its_own_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = [easy_set([6, 6], key=key) for key in ("one", "two", "three")]
    seen: list[tuple[int, set[bytes]]] = []

    def watched(task: DomainTask, loop: TrainingLoop) -> Any:
        shown = {image.tobytes() for source in task.sources for image in source.images}
        seen.append((len(task.sources), shown))
        fitted = train_domains(task, loop)
        probabilities = fitted.probabilities

        def judged(images: Any) -> Any:
            assert not shown & {image.tobytes() for image in images}
            return probabilities(images)

        object.__setattr__(fitted, "probabilities", judged)
        return fitted

    monkeypatch.setattr("tenfold.verbs.merge.train_domains", watched)
    merging = merge(sets, out=tmp_path / "run", steps=4, workers=1)
    ways = {way["name"]: way["cells"] for way in merging.document["ways"]}
    assert len(ways) == 11
    assert ways["without made-up two, DANN"][0] is None
    assert ways["without made-up two, DANN"][1]["images"] == 12
    assert sorted({count for count, _ in seen}) == [1, 2, 3]


def test_folds_are_of_whole_groups_and_of_every_class() -> None:
    data = easy_set([12, 6], groups=[*np.repeat(np.arange(6), 2), *range(6, 12)])
    folds = deal_folds(data, Key("one"))
    for group in np.unique(data.groups):
        assert len(set(folds[data.groups == group])) == 1
    for label in (0, 1):
        assert set(folds[data.labels == label]) == {0, 1, 2}


def test_patients_of_four_images_count_once_in_accuracies_andgains_json() -> None:
    """Two sets of 120 patients, of whom each way recognises all images or none, as many in each fold."""
    draw, one, folds = Key("merged patients").numpy_generator(), easy_set([240, 240]), np.repeat(np.arange(3), 160)
    shares = {"own": 0.7, POOLED: 0.8, ALIGNED: 0.8}
    right = {way: np.tile(np.repeat(draw.random(40) < share, 4), 3) for way, share in shares.items()}
    says = {way: np.where(hits, one.labels, 1 - one.labels) for way, hits in right.items()}
    sources = [replace(one, name=name) for name in ("a", "b")]
    predicted = {way: {0: says[way], 1: says[way]} for way in (POOLED, ALIGNED)}
    predicted |= {alone_name(name): {0: says["own"], 1: says["own"]} for name in ("a", "b")}

    def widths(groups: npt.NDArray[np.int64]) -> list[float]:
        grouped = [source.with_columns(groups=groups) for source in sources]
        gains = gains_json(grouped, [folds, folds], predicted)
        bounds = [gain["points"][1:] for gain in (*gains["pooled"], gains["aligned"])]
        bounds.append(way_json(POOLED, grouped, [folds, folds], predicted[POOLED])["cells"][0]["interval"])
        return [high - low for low, high in bounds]

    ratios = np.divide(widths(np.arange(480) // 4), widths(np.arange(480)))
    assert ((ratios > 1.8) & (ratios < 2.2)).all(), ratios


def test_sets_that_cannot_be_merged_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two sets or more; to label another set: tenfold adapt SOURCE --to TARGET"):
        merge([easy_set([3, 3])])
    one = easy_set([6, 6])
    other = easy_set([6, 6], key="other")
    object.__setattr__(other, "class_names", ("x", "y"))
    with pytest.raises(InputError, match="share no class"):
        merge([one, other], out=tmp_path / "run")
