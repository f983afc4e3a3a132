"""Images and vectors in an .npz; what of vectors does not depend on where they come from."""

from __future__ import annotations

import io
import pickle
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from made_up_images import noise_image
from made_up_sets import easy_set, easy_vectors
from tenfold.core.errors import InputError
from tenfold.core.types import ImageDataset
from tenfold.data.audit import audit, cleaned
from tenfold.data.combine import with_external_test
from tenfold.data.load import load
from tenfold.data.readers.table import in_order

GREY, EYE = np.zeros((2, 8, 8), np.uint8), np.eye(3)


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def read(folder: Path, **arrays: Any) -> ImageDataset:
    return load(save(folder / "set.npz", **arrays))


@pytest.mark.parametrize(
    ("shape", "channels"), [((6, 8, 8), 1), ((6, 8, 8, 1), 1), ((6, 8, 8, 3), 3), ((6, 3, 8, 8), 3)]
)
def test_layouts(tmp_path: Path, shape: tuple[int, ...], channels: int) -> None:
    images = noise_image(shape, *shape)
    dataset = read(tmp_path, images=images, labels=[0, 1, 2, 0, 1, 2])
    assert (dataset.name, dataset.image_shape) == ("set", (channels, 8, 8))
    if shape[1] == 3:
        assert (dataset.images == images).all()
    assert dataset.class_names == ("0", "1", "2")


def test_names_groups_and_split(tmp_path: Path) -> None:
    dataset = read(
        tmp_path,
        images=noise_image("names", 4, 8, 8),
        labels=np.array([[1], [0], [1], [0]]),
        class_names=np.array(["cat", "dog"]),
        groups=np.array(["x", "y", "x", "z"]),
        split=np.array(["train", "train", "reserve", "test"]),
    )
    assert dataset.class_names == ("cat", "dog")
    assert dataset.labels.tolist() == [1, 0, 1, 0]
    assert dataset.groups.tolist() == [0, 1, 0, 2]
    assert dataset.roles.tolist() == ["train", "train", "reserve", "test"]
    text = read(tmp_path, images=GREY, labels=["dog", "cat"])
    assert (text.class_names, text.labels.tolist()) == (("cat", "dog"), [1, 0])


@pytest.mark.parametrize("kind", ["images", "features"])
def test_medmnist_layout(tmp_path: Path, kind: str) -> None:
    parts: dict[str, Any] = {}
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        vectors = easy_vectors([count], key=part).images[:, :, 0, 0]
        parts[f"{part}_{kind}"] = noise_image(part, count, 8, 8) if kind == "images" else vectors
        parts[f"{part}_labels"] = (np.arange(count) % 2)[:, None]
    dataset = read(tmp_path, **parts)
    assert dataset.roles.tolist() == ["train"] * 6 + ["test"] * 3
    assert np.array_equal(dataset.part("test").images.squeeze(), parts[f"test_{kind}"])


def test_real_values_are_scaled_and_nan_is_set_aside(tmp_path: Path) -> None:
    images = noise_image("real", 4, 8, 8) / 255
    images[2, 0, 0] = np.nan
    dataset = read(tmp_path, images=images, labels=[0, 1, 0, 1])
    assert (dataset.images[0, 0] == np.rint(images[0] * 255)).all()
    assert [entry.source for entry in dataset.set_aside] == ["set[2]"]
    assert dataset.labels.tolist() == [0, 1, 1]


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("pickled code ran",))


def test_pickled_objects_are_refused_unopened_and_damaged_archives(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pickled objects"):
        read(tmp_path, images=GREY, labels=np.array([Bomb(), Bomb()], dtype=object))
    for suffix in (".pkl", ".pt", ".pth"):
        path = tmp_path / f"set{suffix}"
        path.write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(InputError, match="pickled code"):
            load(path)
    path = save(tmp_path / "set.npz", images=GREY, labels=[0, 1])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="damaged"):
        load(path)


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"images": GREY}, "no array 'labels'"),
        ({"images": GREY, "labels": [0]}, "labels has shape"),
        ({"images": GREY[0], "labels": [0, 1]}, "images have shape"),
        ({"images": GREY.astype(complex), "labels": [0, 1]}, "complex"),
        ({"images": GREY, "labels": [0.5, 1]}, "whole numbers"),
        ({"images": GREY, "labels": [0, 5], "class_names": ["a", "b"]}, "2 class names"),
        ({"images": GREY, "labels": [0, 0], "class_names": ["a", "b"]}, "class 'b'"),
        ({"images": GREY, "labels": ["a", "b"], "groups": ["p", " "]}, "groups is blank"),
        ({"images": GREY[:0], "labels": np.zeros(0, int)}, "no images"),
        ({"test_images": GREY, "test_labels": [0, 1]}, "test images only"),
        ({"features": EYE}, "no array 'labels'"),
        ({"features": EYE, "labels": [0, 1]}, "labels has shape"),
        ({"features": EYE, "labels": [0, 1, np.nan]}, r"labels\[2\] is not a number"),
        ({"features": EYE, "labels": [0, 1, 0], "groups": [0, np.nan, 1]}, r"groups\[1\] is not a number"),
        ({"features": np.zeros(3), "labels": [0, 1, 0]}, r"shape \(3,\); wanted N,F"),
        ({"features": np.zeros((3, 0)), "labels": [0, 1, 0]}, r"shape \(3, 0\); wanted N,F"),
        ({"features": np.zeros((0, 3)), "labels": np.zeros(0, int)}, r"shape \(0, 3\); wanted N,F"),
        ({"features": EYE.astype(str), "labels": [0, 1, 0]}, "another numeric type"),
        ({"features": EYE + 1j, "labels": [0, 1, 0]}, "complex128"),
        ({"features": [[1.0, 2.0]], "labels": [0]}, "a single row"),
        ({"features": [[1, 2], [3, np.nan]], "labels": [0, 1]}, r"features\[1, 1\]: nan is not a finite number"),
        ({"features": [[1, -np.inf], [3, 4]], "labels": [0, 1]}, r"features\[0, 1\]: -inf is not a finite number"),
        ({"embeddings": [[1, 2], [1e300, 4]], "labels": [0, 1]}, r"embeddings\[1, 0\]: 1e\+300 is beyond 1e\+30"),
        ({"features": [[1, 1e12], [3, 1e12 + 1]], "labels": [0, 1]}, r"features\[:, 1\]: its values differ by less"),
        ({"features": [[1, 1e-60], [3, 0]], "labels": [0, 1]}, r"features\[:, 1\]: its values differ by less"),
        ({"features": EYE.astype(object), "labels": [0, 1, 0]}, "pickled objects"),
        ({"features": EYE, "labels": [0, 1, 0], "split": ["test"] * 3}, "test features only"),
        ({"features": EYE, "labels": [0, 0, 2], "class_names": ["a", "b", "c"]}, "class 'b'"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(tmp_path: Path, arrays: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        read(tmp_path, **arrays)


@pytest.mark.parametrize("name", ["features", "embeddings"])
def test_vectors(tmp_path: Path, name: str) -> None:
    values = easy_vectors([3, 3]).images[:, :, 0, 0].astype(np.float64)
    dataset = read(tmp_path, **{name: values, "labels": ["b", "a"] * 3, "groups": [1, 1, 2, 2, 3, 3]})
    assert (dataset.is_vectors, dataset.image_shape, dataset.images.dtype) == (True, (6, 1, 1), np.float32)
    assert np.array_equal(dataset.images[:, :, 0, 0], values.astype(np.float32))
    assert (dataset.class_names, dataset.labels.tolist()) == (("a", "b"), [1, 0] * 3)
    assert dataset.groups.tolist() == [0, 0, 1, 1, 2, 2]
    assert dataset.sources[2] == "set[2]"
    assert not read(tmp_path, images=GREY, features=np.eye(2), labels=[0, 1]).is_vectors, "images go before vectors"


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint64, np.float16, np.float32, np.float64])
def test_any_numeric_type_will_do(tmp_path: Path, kind: type) -> None:
    values = np.array([[0, 1], [1, 0], [1, 1]])
    dataset = read(tmp_path, features=values.astype(kind), labels=[0, 1, 0])
    assert np.array_equal(dataset.images[:, :, 0, 0], values)


def test_vectors_have_no_size(tmp_path: Path) -> None:
    path = save(tmp_path / "set.npz", features=np.eye(4), labels=[0, 1, 0, 1])
    with pytest.raises(InputError, match="no size in pixels"):
        load(path, size=8)
    assert load(path, per_class=1).roles.tolist().count("reserve") == 2


def test_fingerprints_of_images_are_as_they_were_and_those_of_vectors_tell_every_change() -> None:
    assert easy_set([3, 2]).fingerprint() == "ca1728ee72481206"
    data = easy_vectors([3, 2])
    changed = data.images.copy()
    changed[4, 5] = np.nextafter(changed[4, 5], np.float32(np.inf))
    assert replace(data, images=changed).fingerprint() != data.fingerprint() == easy_vectors([3, 2]).fingerprint()


def test_vectors_and_images_are_never_joined() -> None:
    vectors, images = easy_vectors([2, 2], features=1), easy_set([2, 2], (1, 1, 1))
    for one, other in ((vectors, images), (images, vectors), (vectors, easy_vectors([2, 2], features=2))):
        with pytest.raises(ValueError, match="differ"):
            one.joined(other)
    for wrong in (np.zeros((4, 6, 1, 1)), np.zeros((4, 6), np.float32), np.zeros((4, 6, 2, 1), np.float32)):
        with pytest.raises(ValueError, match="float32 N x F x 1 x 1"):
            replace(vectors, images=wrong)


def test_equal_rows_share_a_group_and_rows_of_two_classes_are_left_out(tmp_path: Path) -> None:
    values = np.array([[1, 2], [1, 2], [3, 4], [5, 6], [3, 4], [7, 8], [-0.0, 9], [0.0, 9.0001]], np.float32)
    data = replace(easy_vectors([4, 4], features=2), images=values[:, :, None, None])
    findings = audit(data)
    assert findings.exact_within == (("row-0", "row-1"),)
    assert findings.exact_across == (("row-2", "row-4"),)
    assert findings.near_within == findings.near_across == findings.constant == findings.warnings == ()
    assert findings.actions[:2] == (
        "2 rows with exact copies in the class: copies stay together in one fold",
        "2 rows that stand in two classes: left out and listed",
    )
    clean = cleaned(data, findings)
    assert clean.sources == ("row-0", "row-1", "row-3", "row-5", "row-6", "row-7")
    assert clean.groups[0] == clean.groups[1]
    assert len(np.unique(clean.groups)) == 5
    arrays: dict[str, Any] = {"features": [[0.0, 1], [5, 5], [-0.0, 1], [6, 6]], "labels": [0, 1, 0, 1]}
    assert audit(read(tmp_path, **arrays)).exact_within == (("set[0]", "set[2]"),), "zeros of both signs are equal"
    with pytest.raises(InputError, match=r"set\[0\] \(train\) and set\[2\] \(test\) are the same row"):
        read(tmp_path, **arrays, split=["train", "train", "test", "train"])


def test_constant_columns_are_told() -> None:
    data = easy_vectors([10, 10])
    images = data.images.copy()
    images[:, 2] = 0.1
    for names, name in (((), "number 2"), (tuple("abcdef"), "'c'")):
        findings = audit(replace(data, images=images, feature_names=names))
        assert findings.actions == (f"1 feature of one constant value, which tell nothing: {name}",)
        assert findings.constant == (name,)


def test_columns_are_put_in_the_order_in_which_they_were_learned() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(in_order(values, "cab", "abc", 3, "x"), values[:, [1, 2, 0]])
    for names, wanted in (("", "abc"), ("abc", ""), ("abc", "abc")):
        assert np.array_equal(in_order(values, names, wanted, 3, "x"), values)
    for wanted, count, complaint in (
        ("abcd", 4, r"x has 3 features where 4 are wanted \(there is no column 'd'\)"),
        ("ab", 2, "x has 3 features where 2 are wanted; give"),
        ("abd", 3, "x has no column 'd'"),
    ):
        with pytest.raises(InputError, match=complaint):
            in_order(values, "abc", wanted, count, "x")


def test_an_external_test_set_of_vectors(tmp_path: Path) -> None:
    header = "label,group,x,y\n"
    (tmp_path / "study.csv").write_text(header + "".join(f"{'ab'[i % 2]},p{i},{i},{i * i}\n" for i in range(8)))
    (tmp_path / "test.csv").write_text("y,x,group,label\n-1,20,p3,a\n-2,21,new,b\n")
    study = load(tmp_path / "study.csv")
    sealed = with_external_test(study, tmp_path / "test.csv", tmp_path / "study.csv").part("test")
    assert sealed.images[:, :, 0, 0].tolist() == [[20, -1], [21, -2]]
    assert sealed.groups[0] == study.groups[3]
    assert sealed.groups[1] not in study.groups
    (tmp_path / "copy.csv").write_text(header + "a,q,2,4\nb,q,9,9\n")
    (tmp_path / "wide.csv").write_text("label,x,y,z\na,1,2,3\nb,1,2,4\n")
    np.savez(tmp_path / "images.npz", images=np.eye(8)[None].repeat(2, 0), labels=[0, 1])
    for name, complaint in (
        ("copy.csv", "are the same row"),
        ("wide.csv", "3 features where 2 are wanted"),
        ("images.npz", "holds images, but study holds vectors"),
    ):
        with pytest.raises(InputError, match=complaint):
            with_external_test(study, tmp_path / name)
    with pytest.raises(InputError, match="external test set: test holds vectors"):
        with_external_test(easy_set([3, 3]), tmp_path / "test.csv")


def damaged_header(path: Path, shape: str, dtype: str = "|u1") -> Path:
    """An .npz of two images whose header declares another shape, under a right checksum."""
    out = io.BytesIO()
    np.save(out, GREY)
    damaged = out.getvalue().replace(b"(2, 8, 8)", shape.encode()).replace(b"|u1", dtype.encode())
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", damaged)
    return path


@pytest.mark.parametrize("shape", ["(1000000000000, 8, 8)", "(18446744073709551616,)", "(-2, 8, 8)", "(1e9,)"])
def test_a_header_that_declares_what_is_not_there_takes_no_memory(tmp_path: Path, shape: str) -> None:
    with pytest.raises(InputError, match=r"set\.npz is damaged"):
        load(damaged_header(tmp_path / "set.npz", shape))


def test_values_of_no_size_are_counted_too(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"set\.npz is damaged"):
        load(damaged_header(tmp_path / "set.npz", "(1000000000000,)", "|V0"))


def test_parts_that_do_not_fit_one_another_are_told(tmp_path: Path) -> None:
    labels = np.array([0, 1])
    with pytest.raises(InputError, match=r"images of its parts are uint8 \(2, 8, 8\) and uint8 \(2, 4, 4\)"):
        read(
            tmp_path,
            train_images=GREY,
            train_labels=labels,
            test_images=np.zeros((2, 4, 4), np.uint8),
            test_labels=labels,
        )


@pytest.mark.parametrize("code", [0x110000, 0xD800])
def test_text_that_is_none_is_damage(tmp_path: Path, code: int) -> None:
    words = np.array([code, 97], np.uint32).view("U1")
    with pytest.raises(InputError, match="is damaged"):
        read(tmp_path, images=GREY, labels=words)


def test_times_are_no_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="images are timedelta64"):
        read(tmp_path, images=GREY.astype("m8[D]"), labels=[0, 1])


ARRAY_NAMES = ("images", "labels", "groups", "split", "features", "class_names", "train_images", "train_labels")
SHAPES = ((4,), (4, 1), (4, 5), (4, 5, 5), (4, 5, 5, 3), (4, 3, 5, 5), (3,), (0,), ())
DTYPES = st.one_of(hnp.scalar_dtypes(), hnp.unicode_string_dtypes(max_len=3), hnp.byte_string_dtypes(max_len=3))


@given(st.dictionaries(st.sampled_from(ARRAY_NAMES), hnp.arrays(DTYPES, st.sampled_from(SHAPES)), min_size=1))
@settings(max_examples=100)
def test_arrays_of_any_kind_are_read_or_refused(arrays: dict[str, Any]) -> None:
    usual = {"images": noise_image("any", 4, 5, 5), "labels": np.array([0, 1, 0, 1])}
    with tempfile.TemporaryDirectory() as folder, suppress(InputError):
        assert len(load(save(Path(folder) / "set.npz", **{**usual, **arrays}))) > 0
