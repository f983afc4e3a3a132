from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from tenfold.augment import ManifoldMixUp
from tenfold.augment.manifold import mixable_layers
from tenfold.augment.tensors import SIGNED, to_float
from tenfold.core.keys import Key
from tenfold.networks.blocks import build
from tenfold.networks.convnet import SmallConvNet


def draws(name: str = "draws") -> torch.Generator:
    return Key(name).torch_generator()


def small() -> SmallConvNet:
    return build(lambda: SmallConvNet((1, 12, 12), 3, width=4), draws("weights"))


def rows(count: int = 6) -> Tensor:
    return torch.rand(count, 5, generator=draws("rows"))


class Linearly(nn.Module):
    """Three linear maps and nothing between them: wherever it is mixed, its logits are mixed alike."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.unused = nn.Linear(5, 7), nn.Linear(7, 4), nn.Linear(1, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.second(self.first(images)))
        return logits


def hooks_of(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in network.modules())


@pytest.mark.parametrize("layer", ["input", "first", "second", "head"])
def test_logits_and_labels_are_mixed_with_one_weight_and_partner(layer: str) -> None:
    network = build(Linearly, draws("weights"))
    logits, soft = ManifoldMixUp(1.0, layers=[layer])(network, rows(), torch.eye(6), draws())
    assert torch.allclose(logits, soft @ network(rows()), atol=1e-5)
    assert not torch.allclose(logits, network(rows()), atol=1e-2)
    assert torch.allclose(soft.sum(1), torch.ones(6), atol=1e-6)
    assert len(soft.diagonal().unique()) >= 4, "a weight for each image"


def test_each_layer_is_drawn_equally_often() -> None:
    network, hooked = small(), ("stem", "body.1", "body.3", "body.4")
    layers = mixable_layers(network)
    assert layers == ["input", *hooked]
    images = torch.rand(4, 1, 12, 12, generator=draws("images"))
    network.eval()
    plain: dict[str, Tensor] = {}
    mixed: dict[str, Tensor] = {}
    seen = plain
    # What a layer is handed differs from the plain pass where the images or a layer before it were mixed.
    for name in hooked:
        network.get_submodule(name).register_forward_pre_hook(
            lambda module, inputs, name=name: seen.__setitem__(name, inputs[0].clone())
        )
    network(images)
    manifold, generator, where = ManifoldMixUp(5.0), draws(), dict.fromkeys(layers, 0)
    for _ in range(300):
        seen = mixed
        manifold(network, images, torch.eye(4), generator)
        intact = [name for name in hooked if torch.equal(plain[name], mixed[name])]
        where[layers[len(intact)]] += 1
    # One permutation in 24 leaves every image with itself, and that looks like the last layer.
    expected = 300 * (1 - 1 / 24) / 5
    for name in layers[:-1]:
        assert where[name] == pytest.approx(expected, abs=4 * expected**0.5), where


def test_the_hook_is_gone_afterwards_come_what_may() -> None:
    network = small()
    images, labels = torch.rand(4, 1, 12, 12, generator=draws("images")), torch.arange(4) % 3
    for layer in ("stem", "body.3"):
        ManifoldMixUp(layers=[layer], classes=3)(network, images, labels, draws())
        assert hooks_of(network) == 0
    with pytest.raises(RuntimeError):
        ManifoldMixUp(layers=["stem"], classes=3)(network, images[:, :, :1, 0], labels, draws())
    assert hooks_of(network) == 0

    def interrupted(images: Tensor) -> Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ManifoldMixUp(layers=["stem"], classes=3).through(network, interrupted, images, labels, draws())
    assert hooks_of(network) == 0


def test_a_layer_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no layer 'body\.33'\. Did you mean 'body\.3"):
        ManifoldMixUp(layers=["body.33"])(small(), torch.zeros(2, 1, 12, 12), torch.eye(2))
    with pytest.raises(ValueError, match=r"no layer 'inptu'\. Did you mean 'input'"):
        ManifoldMixUp(layers=["stem", "inptu"])(small(), torch.zeros(2, 1, 12, 12), torch.eye(2))


class Awkward(nn.Module):
    """Holds a layer that gives no row for each image and one that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.turned, self.twice = nn.Identity(), nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        self.turned(images.t())
        twice: Tensor = self.twice(self.twice(images))
        return twice


def test_a_layer_that_cannot_be_mixed_is_told() -> None:
    with pytest.raises(ValueError, match="'unused' was not called"):
        ManifoldMixUp(layers=["unused"])(build(Linearly, draws()), rows(), torch.eye(6), draws())
    with pytest.raises(ValueError, match="'turned' gives no row for each image"):
        ManifoldMixUp(layers=["turned"])(Awkward(), rows(), torch.eye(6), draws())


def test_a_layer_used_twice_is_mixed_once() -> None:
    logits, soft = ManifoldMixUp(1.0, layers=["twice"])(Awkward(), rows(), torch.eye(6), draws())
    assert torch.allclose(logits, soft @ rows(), atol=1e-6)


@pytest.fixture
def weightless() -> Iterator[None]:
    with torch.device("meta"):  # torch's own first weights would come from the global generator
        yield


@pytest.mark.usefixtures("weightless")
def test_the_layers_taken_by_default_stand_before_the_last_linear_one() -> None:
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3))
    assert mixable_layers(plain) == ["input", "0", "3"]
    named = nn.Sequential()
    named.add_module("features", nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()))
    named.add_module("blocks", nn.Sequential(nn.Sequential(nn.Conv2d(2, 2, 3)), nn.Sequential(nn.Conv2d(2, 2, 3))))
    named.add_module("classifier", nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3)))
    assert mixable_layers(named) == ["input", "features", "blocks.0", "blocks.1", "classifier.0"]
    assert mixable_layers(nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 3, 1))) == ["input", "0"]
    assert mixable_layers(nn.Linear(2, 3)) == ["input"]
    assert mixable_layers(nn.Identity()) == ["input"]


def test_one_stream_a_seed_and_one_result_a_generator() -> None:
    network, labels = small().eval(), torch.arange(6) % 3
    images = torch.randint(256, (6, 1, 12, 12), dtype=torch.uint8, generator=draws("images"))
    before = images.clone()
    mix, again, other = (ManifoldMixUp(classes=3, seed=seed, value_range=SIGNED) for seed in (1, 1, 2))
    first, second = mix(network, images, labels), mix(network, images, labels)
    assert torch.equal(images, before)
    assert torch.equal(first[0], again(network, images, labels)[0])
    assert torch.equal(second[0], again(network, images, labels)[0])
    assert not torch.equal(first[0], other(network, images, labels)[0])
    assert torch.equal(mix(network, images, labels, draws())[0], mix(network, images, labels, draws())[0])
    assert not torch.equal(first[0], network(to_float(images, SIGNED)))


def test_gradients_reach_every_weight_through_a_mixed_layer() -> None:
    network = small()
    images, labels = torch.rand(6, 1, 12, 12, generator=draws("images")), torch.eye(3).repeat(2, 1)
    for layer in mixable_layers(network):
        network.zero_grad(set_to_none=True)
        logits, soft = ManifoldMixUp(layers=[layer])(network, images, labels, draws())
        nn.functional.cross_entropy(logits, soft).backward()
        assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


def test_class_numbers_without_their_count_are_refused() -> None:
    with pytest.raises(ValueError, match=r"ManifoldMixUp\(classes=10\)"):
        ManifoldMixUp()(small(), torch.zeros(2, 1, 12, 12), torch.arange(2))
