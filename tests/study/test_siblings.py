"""Pictures that belong together stay together, all the way from files to folds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made_up_sets import easy_set
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.audit import audit, cleaned
from tenfold.data.export import export
from tenfold.data.loading import load
from tenfold.data.sealed import open_fold
from tenfold.data.splits import make_splits, plan_folds
from tenfold.methods.base import make_method


def studied(folder: Path, **options: bool) -> ImageDataset:
    data = load(folder, **options)
    return cleaned(data, audit(data)).part("train")


def folds(study: ImageDataset) -> Iterator[tuple[set[str], set[str], set[str]]]:
    """Sources to train on, to choose by and to test on, of every fold of three repeats."""
    for repeat in range(3):
        for split in make_splits(study, plan_folds(study), repeat, Key("tests/siblings")):
            fold = open_fold(study, split)
            tested = {study.sources[index] for index in fold.test.indices}
            yield set(fold.train.sources), set(fold.validation.sources), tested


def assert_together(study: ImageDataset, families: list[set[str]]) -> None:
    assert all(len(family) > 1 and family <= set(study.sources) for family in families)
    for parts in folds(study):
        for family in families:
            assert sum(bool(family & part) for part in parts) == 1, family


def test_equal_and_nearly_equal_and_mirrored_files_share_a_fold(tmp_path: Path) -> None:
    data = easy_set([12, 12], (1, 16, 16), noise=60)
    for index, (image, label) in enumerate(zip(data.images, data.labels, strict=True)):
        folder = tmp_path / f"class-{label}"
        folder.mkdir(exist_ok=True)
        pixels = image[0]
        Image.fromarray(pixels).save(folder / f"{index:02d}.png")
        if index % 4 == 0:
            Image.fromarray(pixels).save(folder / f"{index:02d}-copy.png")
        if index % 4 == 1:
            near = np.clip(pixels.astype(int) + 1, 0, 255).astype(np.uint8)
            Image.fromarray(near).save(folder / f"{index:02d}-copy.png")
        if index % 4 == 2:
            Image.fromarray(np.ascontiguousarray(pixels[:, ::-1])).save(folder / f"{index:02d}-copy.png")
    study = studied(tmp_path)
    copies = [source for source in study.sources if "copy" in source]
    assert len(copies) == 18
    assert_together(study, [{copy, copy.replace("-copy", "")} for copy in copies])


def test_a_patient_s_pictures_share_a_fold(tmp_path: Path) -> None:
    data = easy_set([15, 15], (1, 16, 16), noise=60)
    rows = ["file_name,label,patient"]
    patients: dict[str, set[str]] = {}
    for index, (image, label) in enumerate(zip(data.images, data.labels, strict=True)):
        name, patient = f"{index:02d}.png", f"p{label}-{index % 6}"
        Image.fromarray(image[0]).save(tmp_path / name)
        rows.append(f"{name},class {label},{patient}")
        patients.setdefault(patient, set()).add(name)
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    assert_together(studied(tmp_path), [family for family in patients.values() if len(family) > 1])


@pytest.mark.parametrize("seed", [0, 1])
def test_augmented_siblings_written_to_files_share_a_fold(tmp_path: Path, seed: int) -> None:
    """The leak that most people make: a picture to train on and its turned copy to test on."""
    real = easy_set([8, 8], (1, 16, 16), noise=60)
    grown = make_method("classical").grow(real, 2.0, Key("tests/siblings") / seed)
    whole = real.joined(grown.as_dataset(real))
    made = [{"origin": "generated", "parents": [real.sources[of] for of in parents]} for parents in grown.parents]
    export(tmp_path, whole, [*[{"origin": "real"}] * len(real), *made])
    study = studied(tmp_path, grown_ok=True)
    assert len(study) == 48
    for parts in folds(study):
        groups = [{study.groups[study.sources.index(source)] for source in part} for part in parts]
        assert sum(map(len, groups)) == len(set().union(*groups)) == 16
