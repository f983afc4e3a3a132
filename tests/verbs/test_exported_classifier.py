"""An exported classifier says what the classifier says, without tenfold; its card is true and its code runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up_folders import files, write_folders

import tenfold
from made_up_sets import SHORT, easy_set, easy_vectors
from tenfold.core.errors import InputError, TenfoldError
from tenfold.core.files import read_json, write_json
from tenfold.core.keys import Key
from tenfold.data.load import load
from tenfold.networks.backbone_classifier import BackboneNet, ImageNetBackbone, backbone_named
from tenfold.networks.blocks import build
from tenfold.networks.convnet import Backbone
from tenfold.networks.pretrained import LITE, LiteNet
from tenfold.training.classifier import TrainedClassifier, train_classifier
from tenfold.training.classifier_io import load_classifier, save_classifier
from tenfold.training.deployment import as_input
from tenfold.training.recipe import Recipe
from tenfold.verbs.export import _real_images, export

needs_onnx = pytest.mark.usefixtures("onnx_is_there")


@pytest.fixture
def onnx_is_there() -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")


def kept(directory: Path, data: Any, **changes: Any) -> TrainedClassifier:
    classifier = replace(train_classifier(data, None, Recipe(), Key("export"), SHORT), temperature=1.7, **changes)
    save_classifier(directory / "classifier.safetensors", classifier, {})
    return classifier


def onnx_says(directory: Path, values: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(directory / "model.onnx", providers=["CPUExecutionProvider"])
    told: np.ndarray = session.run(None, {"input": values})[0]
    return told


@needs_onnx
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 44, 44)], ids=str)
def test_both_graphs_say_what_the_classifier_says_for_any_number_of_images(
    tmp_path: Path, shape: tuple[int, int, int], mirrored: bool
) -> None:
    classifier = kept(tmp_path / "run", easy_set([8, 8, 8], shape), mirrored=mirrored)
    result = export(tmp_path / "run", tmp_path / "out", onnx=True)
    assert result.largest_difference < 1e-5
    assert set(files(tmp_path / "out")) >= {"model.pt2", "model.onnx", "README.md", "classifier.safetensors"}
    graph = torch.export.load(tmp_path / "out/model.pt2").module()
    for count in (1, 7):
        images = easy_set([count, count, count], shape, key="fresh").images
        values, expected = as_input(classifier, images), classifier.probabilities(images)
        assert values.shape[1:] == (*shape[1:], shape[0])
        assert np.allclose(onnx_says(tmp_path / "out", values), expected, atol=1e-5)
        assert np.allclose(graph(torch.from_numpy(values)).detach().numpy(), expected, atol=1e-5)


@needs_onnx
def test_rows_of_numbers_are_exported_too(tmp_path: Path) -> None:
    data = replace(easy_vectors([9, 9, 9]), feature_names=tuple("abcdef"))
    classifier = kept(tmp_path / "run", data)
    export(tmp_path / "run", tmp_path / "out", onnx=True)
    assert np.allclose(
        onnx_says(tmp_path / "out", data.images[:, :, 0, 0]), classifier.probabilities(data.images), atol=1e-5
    )
    assert "of a, b, c, d, e, f, in this order" in (tmp_path / "out/README.md").read_text()


@needs_onnx
@pytest.mark.parametrize("kind", ["lite", "hub"])
def test_a_backbone_is_inside_with_the_sides_that_it_reads(tmp_path: Path, kind: str) -> None:
    draws, data = Key("export/backbone").torch_generator(), easy_set([6, 6], (3, 32, 32))
    if kind == "lite":
        lite = build(lambda: LiteNet(LITE["imagenet"].stages), draws).eval()
        for factor in lite.buffers():
            factor.fill_(1)
        backbone: Backbone = ImageNetBackbone(lite, 64)
    else:
        library = pytest.importorskip("transformers")
        config = library.ViTConfig(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            image_size=28,
            patch_size=7,
        )
        with torch.random.fork_rng():
            library.AutoModel.from_config(config).save_pretrained(tmp_path / "hub")
        backbone = backbone_named(str(tmp_path / "hub"), 28)
    network = BackboneNet(backbone, 2, frozen=True).eval()
    with torch.no_grad():
        network.scale.fit(backbone(torch.from_numpy(data.images).float() / 127.5 - 1))
        network.head.weight.normal_(0, 0.05, generator=draws)
    classifier = TrainedClassifier(network, SHORT, data.class_names, data.image_shape)
    save_classifier(tmp_path / "run/classifier.safetensors", classifier, {})
    export(tmp_path / "run", tmp_path / "out", onnx=True)
    told, expected = (
        onnx_says(tmp_path / "out", as_input(classifier, data.images)),
        classifier.probabilities(data.images),
    )
    assert np.ptp(expected[:, 0]) > 0.01
    assert np.allclose(told, expected, atol=1e-4)


@pytest.mark.parametrize("onnx", [False, True])
@pytest.mark.parametrize("shape", [(1, 12, 12), (3, 20, 20)], ids=str)
def test_the_code_on_the_card_predicts_as_tenfold_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int], onnx: bool
) -> None:
    if onnx:
        pytest.importorskip("onnxscript")
    kept(tmp_path / "run", easy_set([8, 8, 8], shape))
    export(tmp_path / "run", tmp_path / "out", onnx=onnx)
    folder = write_folders(tmp_path / "new", [3, 3], (shape[0], 30, 30))
    wide = np.arange(10 * 30 * 3, dtype=np.uint8).reshape(10, 30, 3)
    from PIL import Image

    Image.fromarray(wide if shape[0] == 3 else wide[..., 0]).save(folder / "wide.png")
    paths = sorted(folder.rglob("*.png"))
    code = (tmp_path / "out/README.md").read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path / "out")
    names: dict[str, Any] = {"paths": paths}
    exec(code, names)
    expected = tenfold.predict(tmp_path / "out", paths)
    told = np.array([list(one.probabilities.values()) for one in expected])
    assert names["predicted"] == [one.label for one in expected]
    assert np.allclose(names["probabilities"], told, atol=2e-5)


@needs_onnx
def test_what_is_to_be_known_stands_on_the_card_and_in_the_file(tmp_path: Path) -> None:
    import onnx

    data = replace(easy_set([8, 8]), class_names=("a `b`", "'c: d'"), value_ranges={"integers": (0.0, 4095.0)})
    classifier = kept(tmp_path / "run", data)
    facts = {
        "arm": "classical+mixup", "trained_on_images": 1200, "data": "cells", "temperature_from_images": 1100,
        "cross_validated_balanced_accuracy": 0.934, "interval": [0.912, 0.951],
        "external_test": {"accuracy": 0.9, "interval": [0.8, 0.95], "images": 60, "groups": 60},
    }  # fmt: skip
    save_classifier(tmp_path / "run/classifier.safetensors", classifier, facts)
    export(tmp_path / "run", tmp_path / "out", onnx=True)
    card = (tmp_path / "out/README.md").read_text()
    for words in (
        "on 1,200 labelled images of cells, with `classical+mixup`", "93.4 % (95 % interval 91.2 to 95.1)",
        "Of 60 images that were sealed until the end it recognised 90.0 %", "- `a 'b'`", "0.0..4095.0 (integers)",
        "uint8, N x 8 x 8 x 1", "pipeline_tag: image-classification", "value: 0.934",
    ):  # fmt: skip
        assert words in card, words
    assert card.startswith("---\n")
    metadata = {one.key: json.loads(one.value) for one in onnx.load(tmp_path / "out/model.onnx").metadata_props}
    assert metadata["class_names"] == ["a `b`", "'c: d'"]
    assert metadata["value_ranges"] == {"integers": [0.0, 4095.0]}


def test_the_run_itself_is_compared_on_where_it_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folders(tmp_path / "cells", [5, 5])
    kept(tmp_path / "run", tenfold.load(folder))
    options = tenfold.core.options.DataOptions().to_json()
    write_json(tmp_path / "run/config.json", {"options": {**options, "data": str(folder)}})
    result = export(tmp_path / "run", tmp_path / "out")
    assert (result.checked_images, result.checked_on) == (10, "images of cells")
    assert "made-up" not in capsys.readouterr().err
    write_json(tmp_path / "run/config.json", {"options": {**options, "data": str(tmp_path / "gone")}})
    assert export(tmp_path / "run", tmp_path / "other").checked_on == "made-up images"
    assert "are not at hand" in capsys.readouterr().err


def test_no_more_files_are_read_than_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folders(tmp_path / "cells", [50, 50])
    kept(tmp_path / "run", tenfold.load(folder))
    (folder / "a/000.png").write_bytes(b"")
    options = tenfold.core.options.DataOptions().to_json()
    write_json(tmp_path / "run/config.json", {"options": {**options, "data": str(folder)}})
    from tenfold.data.readers import folders, read_file

    opened: list[Path] = []
    monkeypatch.setattr(folders, "read_file", lambda path: opened.append(path) or read_file(path))
    result = export(tmp_path / "run", tmp_path / "out")
    assert (result.checked_images, result.checked_on) == (64, "images of cells")
    assert 64 <= len(opened) <= 65, "the one that cannot be read is replaced by another"


def test_images_of_more_bits_are_compared_as_the_classifier_reads_them(tmp_path: Path) -> None:
    from PIL import Image

    folder = write_folders(tmp_path / "cells", [5, 5])
    for path in folder.rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(path)).astype(np.uint16) * 10).save(path)
    ranges = {"integers": (0.0, 65535.0)}
    classifier = kept(tmp_path / "run", tenfold.load(folder), value_ranges=ranges)
    options = tenfold.core.options.DataOptions().to_json()
    write_json(tmp_path / "run/config.json", {"options": {**options, "data": str(folder)}})
    images, told = _real_images(tmp_path / "run", classifier)
    assert told == "images of cells"
    expected = load(folder, value_ranges=ranges).images
    assert {image.tobytes() for image in images} == {image.tobytes() for image in expected}


def test_given_again_it_has_nothing_to_do_and_something_else_is_refused(tmp_path: Path) -> None:
    kept(tmp_path / "run", easy_set([8, 8]))
    first = export(tmp_path / "run", tmp_path / "out")
    before = files(tmp_path / "out")
    again = export(tmp_path / "run", tmp_path / "out")
    assert (first.found, again.found, again.sentence) == (False, True, first.sentence)
    assert files(tmp_path / "out") == before
    kept(tmp_path / "another", easy_set([9, 9]))
    with pytest.raises(InputError, match="choose another"):
        export(tmp_path / "another", tmp_path / "out")
    assert load_classifier(tmp_path / "out").class_names == ("class 0", "class 1")


def test_nothing_is_written_into_a_run_or_where_there_is_no_classifier(tmp_path: Path) -> None:
    kept(tmp_path / "run", easy_set([8, 8]))
    export(tmp_path / "run", tmp_path / "out")
    with pytest.raises(InputError, match="lies in"):
        export(tmp_path / "out", tmp_path / "out/again")
    with pytest.raises(InputError, match="no such classifier"):
        export(tmp_path / "nowhere", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_graph_that_says_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(tmp_path / "run", easy_set([8, 8]))
    monkeypatch.setattr(
        "tenfold.training.deployment.pt2_probabilities", lambda content, values: np.full((64, 2), 0.5)
    )
    with pytest.raises(TenfoldError, match=r"model\.pt2 says something else"):
        export(tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(tmp_path / "run", easy_set([8, 8]))
    monkeypatch.setattr("tenfold.training.deployment.importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'tenfold\[onnx\]'"):
        export(tmp_path / "run", tmp_path / "out", onnx=True)


def test_a_classifier_that_frames_its_images_first_is_refused(tmp_path: Path) -> None:
    kept(tmp_path / "run", easy_set([8, 8]))
    document = read_json(tmp_path / "run/classifier.json")
    write_json(tmp_path / "run/classifier.json", document | {"frame": {"side": 8}})
    with pytest.raises(InputError, match="frame images first"):
        export(tmp_path / "run", tmp_path / "out")
