from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tenfold.core.keys import Key
from tenfold.networks import pretrained
from tenfold.networks.backbone_classifier import (
    BackboneNet,
    ClassifierTrunk,
    ImageNetTrunk,
    UnitLength,
    network_of,
    told_of,
    trunk_of,
    with_head,
)
from tenfold.networks.blocks import build
from tenfold.networks.convnet import SmallConvNet
from tenfold.training.feature_cache import imagenet_features

needs_weights = pytest.mark.skipif(not pretrained.available(), reason="the extra `weights` is not installed")


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=Key("trunks").torch_generator()).clamp(-1, 1)


def own_trunk(shape: tuple[int, int, int] = (1, 8, 8)) -> ClassifierTrunk:
    return ClassifierTrunk(build(lambda: SmallConvNet(shape, 3, 4), Key("own").torch_generator()), shape)


def net(trunk: Any = None, *, frozen: bool = True) -> BackboneNet:
    found = BackboneNet(trunk or own_trunk(), 3, frozen=frozen)
    features = found.trunk.feature_count
    found.scale.fit(noise(9, features))
    return with_head(found, noise(3, features), noise(3)).eval()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (3, 20, 20), (1, 5, 7)], ids=str)
@pytest.mark.parametrize("learned_from", [(1, 8, 8), (3, 12, 12)], ids=str)
def test_a_trunk_reads_pictures_of_any_kind(learned_from: tuple[int, int, int], shape: tuple[int, int, int]) -> None:
    trunk = own_trunk(learned_from).eval()
    rows = trunk(noise(2, *shape))
    assert rows.shape == (2, trunk.feature_count)
    assert rows.std() > 0


def test_grey_and_its_colour_copy_are_one_to_a_trunk() -> None:
    for learned_from in ((1, 8, 8), (3, 8, 8)):
        trunk, grey = own_trunk(learned_from).eval(), noise(2, 1, 8, 8)
        torch.testing.assert_close(trunk(grey), trunk(grey.expand(-1, 3, -1, -1)))


def test_features_have_one_length_and_no_common_part() -> None:
    scale, vectors = UnitLength(50), 3 + 7 * noise(20, 50)
    scale.fit(vectors)
    rows = scale(vectors)
    torch.testing.assert_close(rows.square().mean(1), torch.ones(20))
    torch.testing.assert_close(scale.mean, vectors.mean(0))
    torch.testing.assert_close(scale(5 * (vectors - scale.mean) + scale.mean), rows)
    assert scale(scale.mean[None]).isfinite().all()


def test_training_leaves_batch_normalisation_as_it_came() -> None:
    found = net(frozen=False).train()
    before = {name: value.clone() for name, value in found.trunk.named_buffers()}
    assert before
    found(noise(4, 1, 8, 8)).sum().backward()
    for name, value in found.trunk.named_buffers():
        assert torch.equal(value, before[name]), name
    assert all(one.grad is not None for one in found.trunk.parameters())
    assert found.training
    assert not found.trunk.training


def test_a_hash_names_weights_and_use() -> None:
    one, same, other = own_trunk(), own_trunk(), own_trunk((3, 8, 8))
    assert one.weights_hash() == same.weights_hash() != other.weights_hash()
    with torch.no_grad():
        next(same.parameters()).view(-1)[0] += 1e-3
    assert one.weights_hash() != same.weights_hash()


@pytest.mark.parametrize("frozen", [True, False])
def test_what_is_told_builds_the_same_network(frozen: bool) -> None:
    before, state = net(frozen=frozen), torch.get_rng_state()
    again = network_of(told_of(before), (1, 8, 8), 3, before.state_dict()).eval()
    assert torch.equal(torch.get_rng_state(), state)
    assert isinstance(again, BackboneNet)
    assert torch.equal(again(noise(4, 1, 8, 8)), before(noise(4, 1, 8, 8)))
    assert (again.frozen, again.began_with) == (before.frozen, before.began_with)


def test_an_unknown_trunk_is_refused() -> None:
    with pytest.raises(ValueError, match="no trunk 'pickle'"):
        trunk_of({"kind": "pickle"})


@needs_weights
def test_the_imagenet_trunk_gives_what_diagnostics_read() -> None:
    images = Key("trunks").numpy_generator().integers(0, 256, (3, 1, 20, 20)).astype(np.uint8)
    trunk = ImageNetTrunk.trained(pretrained.SIDE)
    with torch.inference_mode():
        rows = trunk(torch.tensor(images).float() / 127.5 - 1)
    np.testing.assert_allclose(rows.numpy(), imagenet_features(images), rtol=1e-3, atol=1e-4)
    assert trunk.weights_hash() != ImageNetTrunk.trained(64).weights_hash()


@needs_weights
def test_an_imagenet_classifier_is_built_again_without_its_weights_file(monkeypatch: pytest.MonkeyPatch) -> None:
    before = net(ImageNetTrunk.trained(32))
    monkeypatch.setattr(pretrained, "available", lambda: False)
    again = network_of(told_of(before), (3, 32, 32), 3, before.state_dict()).eval()
    pictures = noise(2, 3, 16, 16)
    with torch.inference_mode():
        assert torch.equal(again(pictures), before(pictures))
