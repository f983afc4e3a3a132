"""A grown set holds real images as large as their files, and new ones as large as their method can make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_folders import files, records, write_folders
from PIL import Image

from made_up_images import noise_image
from made_up_sets import QUICK_CGAN, SHORT
from tenfold.core.errors import InputError
from tenfold.data import export
from tenfold.data.decoding import decode
from tenfold.data.load import load
from tenfold.verbs.check import check
from tenfold.verbs.grow import grow
from tenfold.verbs.run import run

ORIENTATION = 0x0112
TURNED_RIGHT = 6


def smooth(name: str, *shape: int) -> np.ndarray:
    """An image whose detail outlives shrinking, unlike any other."""
    small = Image.fromarray(noise_image(name, 6, 6, *shape[2:]))
    return np.asarray(small.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Two classes of files of many sizes and kinds; one has no more pixels than the side that is read."""
    root = tmp_path / "photographs"
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
    turned = Image.Exif()
    turned[ORIENTATION] = TURNED_RIGHT
    Image.fromarray(smooth("turned", 40, 90, 3)).save(root / "a/turned.jpg", exif=turned)
    alpha = np.dstack([smooth("alpha", 50, 50, 3), smooth("opacity", 50, 50)])
    Image.fromarray(alpha).save(root / "a/alpha.png")
    Image.fromarray(smooth("deep", 64, 48).astype(np.uint16) * 16).save(root / "a/deep.png")
    Image.fromarray(smooth("wide", 70, 1300)).save(root / "b/wide.png")
    Image.fromarray(smooth("plain", 33, 20, 3)).save(root / "b/plain.png")
    Image.fromarray(smooth("small", 16, 12, 3)).save(root / "b/small.png")
    return root


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_real_images_are_written_as_their_files_are(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    grow(photographs, out, method="classical", times=1, size=16)
    written = {line["source"]: pixels(out / line["file_name"]) for line in records(out) if line["origin"] == "real"}
    assert {source: image.shape for source, image in written.items()} == {
        "a/turned.jpg": (90, 40, 3),
        "a/alpha.png": (50, 50, 3),
        "a/deep.png": (64, 48),
        "b/wide.png": (70, 1300),
        "b/plain.png": (33, 20, 3),
        "b/small.png": (16, 16, 3),
    }
    for source in ("a/turned.jpg", "a/alpha.png", "b/wide.png", "b/plain.png"):
        assert np.array_equal(written[source], decode((photographs / source).read_bytes()).pixels), source
    deep = pixels(photographs / "a/deep.png").astype(float) / 4095
    assert np.array_equal(written["a/deep.png"], np.rint(deep * 255)), "by the range of all values, as those read"


def test_new_images_are_as_large_as_their_parents_up_to_a_bound(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    grow(photographs, out, method="classical", times=2, size=16)
    new = [line for line in records(out) if line["origin"] == "generated"]
    shapes = {line["parents"][0]: pixels(out / line["file_name"]).shape[:2] for line in new}
    assert shapes == {
        "a/turned.jpg": (90, 40),
        "a/alpha.png": (50, 50),
        "a/deep.png": (64, 48),
        "b/wide.png": (55, 1024),
        "b/plain.png": (33, 20),
        "b/small.png": (16, 16),
    }
    assert len({line["seed"] for line in new}) == 11, "one each, but one for what is changed together"
    assert len({(out / line["file_name"]).read_bytes() for line in new}) == len(new) == 12
    real = {line["source"]: line for line in records(out) if line["origin"] == "real"}
    for line in new:
        parent = real[line["parents"][0]]
        image, of = (pixels(out / one["file_name"]).astype(float) for one in (line, parent))
        if image.shape == of.shape:
            assert np.abs(image - of).mean() < 80, "a change of its parent, and of no other image"


def test_images_of_any_shape_are_turned_by_right_angles_as_squares(photographs: Path, tmp_path: Path) -> None:
    grow(photographs, tmp_path / "out", method="classical(quarter_turns=yes)", times=1, size=16)
    new = [line for line in records(tmp_path / "out") if line["origin"] == "generated"]
    sides = {line["parents"][0]: pixels(tmp_path / "out" / line["file_name"]).shape[:2] for line in new}
    assert sides["a/turned.jpg"] == (90, 90)
    assert sides["b/plain.png"] == (33, 33)


def test_what_a_generator_makes_is_as_large_as_what_it_learned_from(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    grow(photographs, out, method=QUICK_CGAN, times=1, size=16, keep_copies=True)
    sizes = {
        line["origin"]: {
            pixels(out / one["file_name"]).shape[:2] for one in records(out) if one["origin"] == line["origin"]
        }
        for line in records(out)
    }
    assert sizes["generated"] == {(16, 16)}
    assert (70, 1300) in sizes["real"]


def test_the_set_is_read_again_as_what_it_was_grown_from(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    grow(photographs, out, method="classical", times=2, size=16)
    before, after = load(photographs, size=16), load(out, size=16)
    real, made = after.part("train"), after.part("grown")
    eight_bits = [index for index, source in enumerate(before.sources) if source != "a/deep.png"]
    assert np.array_equal(real.images[eight_bits], before.images[eight_bits])
    assert after.value_ranges == before.value_ranges
    assert set(made.groups) == set(real.groups)
    assert len(made) == 12
    assert check(out, size=16).to_json()["roles"] == {"train": 6, "grown": 12}
    grow(out, tmp_path / "again", method="classical", times=1, size=16)
    shapes = [pixels(tmp_path / "again" / line["file_name"]).shape[:2] for line in records(tmp_path / "again")]
    assert shapes.count((70, 1300)) == 1


def test_small_images_beside_photographs_do_not_decide_how_large_their_files_are(
    photographs: Path, tmp_path: Path
) -> None:
    grow(photographs, tmp_path / "out", method="classical", times=9, size=16)
    for path in (tmp_path / "out").glob("*/generated*.png"):
        Image.open(path).resize((16, 16)).save(path)
    assert load(tmp_path / "out", size=16).file_side == load(photographs, size=16).file_side == 57


@pytest.mark.parametrize("size", [None, 8, 16])
def test_files_without_more_pixels_give_what_they_always_gave(
    size: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they are enlarged, or are arrays."""
    data = write_folders(tmp_path / "set", [5, 4], (3, 8, 8))
    array = tmp_path / "set.npz"
    np.savez(array, images=noise_image("array", 8, 8, 8), labels=np.arange(8) % 2)
    for given, name in ((data, "folder"), (array, "array")):
        grow(given, tmp_path / name, method="classical", times=3, size=size)
        monkeypatch.setattr("tenfold.verbs.wanted.originals_of", lambda *_: None)
        grow(given, tmp_path / f"{name}-before", method="classical", times=3, size=size)
        monkeypatch.undo()
        assert files(tmp_path / name) == files(tmp_path / f"{name}-before")


def test_the_same_command_gives_the_same_bytes_also_after_a_kill(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grown(out: Path) -> dict[str, bytes]:
        grow(photographs, out, method="classical(policy=strong)", times=3, size=16)
        return files(out)

    first, write, calls = grown(tmp_path / "first"), export.png, [0]

    def killed(*arguments: Any, **named: Any) -> bytes:
        calls[0] += 1
        if calls[0] > 9:
            raise KeyboardInterrupt
        return write(*arguments, **named)

    monkeypatch.setattr(export, "png", killed)
    with pytest.raises(KeyboardInterrupt):
        grown(tmp_path / "second")
    monkeypatch.undo()
    assert grown(tmp_path / "second") == first
    chosen = tmp_path / "one class"
    grow(photographs, chosen, method="classical(policy=strong)", times=3, size=16, classes=["b"])
    made = {name for name in files(chosen) if name.startswith("b/generated")}
    assert made
    assert all(files(chosen)[name] == first[name] for name in made), "whatever else is grown"


def test_files_are_decoded_one_at_a_time(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tenfold.data.originals import Originals

    read, rows = Originals._read, list[int]()

    def noted(self: Originals, row: int, most: int | None) -> Any:
        rows.append(row)
        return read(self, row, most)

    monkeypatch.setattr(Originals, "_read", noted)
    grow(photographs, tmp_path / "out", method="classical", times=5, size=16)
    assert rows == [*range(6), *range(6)], "once as a real image, once for all new ones that are made of it"


def test_a_file_that_is_gone_meanwhile_is_named(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tenfold.methods import method_class

    make = method_class("classical").grow

    def remove(self: Any, *arguments: Any) -> Any:
        (photographs / "b/wide.png").write_bytes(b"")
        return make(self, *arguments)

    monkeypatch.setattr(method_class("classical"), "grow", remove)
    with pytest.raises(
        InputError, match=r"b/wide\.png was read a moment ago and cannot be read any more: empty file"
    ):
        grow(photographs, tmp_path / "out", method="classical", times=1, size=16)
    assert not (tmp_path / "out/metadata.jsonl").exists()


def test_what_a_run_grows_is_as_large_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.runs.plan.classifier_for", lambda study: SHORT)
    data = write_folders(tmp_path / "set", [6, 6], (1, 30, 30))
    run(
        data, arms="raw", repeats=1, learning_curve=False, workers=1, size=8, grow="classical", times=1.0,
        out=tmp_path / "out",
    )  # fmt: skip
    shapes = {pixels(path).shape for path in (tmp_path / "out/grown").glob("*/*.png")}
    assert shapes == {(30, 30)}
