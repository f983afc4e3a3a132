"""Images that belong together stay together, all the way from files to folds."""

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
from tenfold.data.load import load
from tenfold.data.splits import make_splits, open_fold, plan_folds
from tenfold.methods import make_method


def studied(folder: Path) -> ImageDataset:
    data = load(folder)
    return cleaned(data, audit(data))


def folds(data: ImageDataset) -> Iterator[tuple[set[str], set[str], set[str]]]:
    """Sources to train on, to choose by and to test on, of every fold of three repeats."""
    study = data.part("train")
    for repeat in range(3):
        for split in make_splits(study, plan_folds(study), repeat, Key("tests/siblings")):
            fold = open_fold(data, split)
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


def test_a_patient_s_images_share_a_fold(tmp_path: Path) -> None:
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
    """The leak that most people make: an image to train on and its turned copy to test on."""
    originals = easy_set([8, 8], (1, 16, 16), noise=60)
    grown = make_method("classical").grow(originals, 2.0, Key("tests/siblings") / seed)
    whole = originals.joined(grown.as_dataset(originals))
    made = [
        {"origin": "generated", "parents": [originals.sources[of] for of in parents]} for parents in grown.parents
    ]
    export(tmp_path, whole, [*[{"origin": "real"}] * len(originals), *made])
    data = studied(tmp_path)
    assert (len(data.part("train")), len(data.part("grown"))) == (16, 32)
    real = set(data.part("train").sources)
    for train, validation, tested in folds(data):
        assert validation | tested <= real  # what is judged is real
        groups = [{data.groups[data.sources.index(name)] for name in part} for part in (train, validation, tested)]
        assert sum(map(len, groups)) == len(set().union(*groups)) == 16
        assert len(train) == 3 * len(train & real)  # with each parent both of its children
