from __future__ import annotations

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from tenfold.core.keys import Key
from tenfold.networks import paper_unet as uresnet
from tenfold.networks.blocks import SeededDropout, build
from tenfold.networks.paper_unet import BatchNorm, PaperCritic, PaperGenerator, map_sizes

NOISE_SIZE, KEY = 6, Key("paper")
SMALL = (1, 28, 28)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same networks with few channels."""
    monkeypatch.setattr(uresnet, "WIDTHS", (4, 4, 8, 8))


def generator(shape: tuple[int, int, int] = SMALL, name: str = "g") -> PaperGenerator:
    return build(lambda: PaperGenerator(shape, NOISE_SIZE, Key(name)), Key(name).torch_generator())


def critic(shape: tuple[int, int, int] = SMALL, name: str = "c") -> PaperCritic:
    return build(lambda: PaperCritic(shape, Key(name)), Key(name).torch_generator())


def batch(count: int, shape: tuple[int, int, int] = SMALL) -> tuple[Tensor, Tensor]:
    random = Key("pictures").torch_generator()
    images = torch.rand(count, *shape, generator=random) * 2 - 1
    return torch.randn(count, NOISE_SIZE, generator=random), images


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 17, 17), (1, 28, 28), (3, 64, 64), (3, 65, 65), (1, 128, 128)])
def test_every_size_comes_back_and_is_scored(shape: tuple[int, int, int]) -> None:
    noise, images = batch(2, shape)
    drawn = generator(shape)(noise, images)
    assert drawn.shape == images.shape
    assert drawn.abs().max() <= 1
    assert drawn.std() > 0.05
    assert critic(shape)(images, drawn).shape == (2,)


def test_the_sizes_are_those_of_the_article() -> None:
    assert map_sizes(28, 28, 4) == [(side, side) for side in (28, 14, 7, 4, 2)]
    with torch.device("meta"):
        small, its_critic = PaperGenerator(SMALL, 100, KEY), PaperCritic(SMALL, KEY)
        large, its_other = PaperGenerator((3, 128, 128), 100, KEY), PaperCritic((3, 128, 128), KEY)
    assert [dense.out_features for dense in small.noises] == [2 * 2 * 8, 4 * 4 * 4, 7 * 7 * 2]
    assert (len(small.blocks), len(large.blocks)) == (5, 6)
    counts = [sum(one.numel() for one in network.parameters()) for network in (small, its_critic, large, its_other)]
    assert counts == [10_416_853, 3_055_271, 15_520_791, 5_282_123]
    # The current map, the previous block's, and the block's own so far.
    block = small.encoder.blocks[1]
    assert [conv[0].in_channels for conv in block.units] == [64 + 64, 64 + 64 + 64, 64 + 64 + 2 * 64]
    assert small.encoder.downs[1][0].in_channels == 64 + 64 + 3 * 64
    # The image at the last level, beside the map from below and the previous block's.
    assert small.blocks[-1].units[0][0].in_channels == 64 + 1 + 64


@pytest.mark.parametrize(("side", "share", "count"), [(28, 0.5, 3), (64, 0.5, 3), (128, 0.05, 4)])
def test_only_what_shrinks_and_grows_maps_is_dropped_from(side: int, share: float, count: int) -> None:
    with torch.device("meta"):
        networks = PaperGenerator((3, side, side), 100, KEY), PaperCritic((3, side, side), KEY / 1)
    drops = [[layer for layer in network.modules() if isinstance(layer, SeededDropout)] for network in networks]
    assert [len(layers) for layers in drops] == [2 * count + 1, count]
    assert {layer.share for layers in drops for layer in layers} == {share}
    assert len({layer.state[0].item() for layers in drops for layer in layers}) == 3 * count + 1


@pytest.mark.usefixtures("narrow")
def test_every_weight_takes_part() -> None:
    noise, images = batch(4)
    network, judge = generator(), critic()
    judge(network(noise, images), images).square().mean().backward()
    for name, weight in [*network.named_parameters(), *judge.named_parameters()]:
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 1e-12, name


@pytest.mark.usefixtures("narrow")
def test_image_and_noise_of_every_level_are_seen() -> None:
    noise, images = batch(2)
    network = generator().eval()
    with torch.no_grad():
        drawn = network(noise, images)
        assert not torch.allclose(network(noise, -images), drawn, atol=1e-2)
        for level, dense in enumerate(network.noises):
            kept = dense.weight.clone()
            dense.weight.mul_(-1)
            assert not torch.allclose(network(noise, images), drawn, atol=1e-3), level
            dense.weight.copy_(kept)
        assert torch.equal(network(noise, images), drawn)


@pytest.mark.usefixtures("narrow")
def test_a_images_result_does_not_depend_on_its_neighbours() -> None:
    noise, images = batch(4)
    network, judge = generator().eval(), critic().eval()
    with torch.no_grad():
        drawn = network(noise, images)
        torch.testing.assert_close(network(noise[1:2], images[1:2]), drawn[1:2])
        torch.testing.assert_close(judge(drawn[1:2], images[1:2]), judge(drawn, images)[1:2])


@pytest.mark.usefixtures("narrow")
def test_the_critic_sees_both_images_and_where_things_stand() -> None:
    judge = critic().eval()
    _, images = batch(3)
    with torch.no_grad():
        score = judge(images, images.flip(0))
        moved = (images.flip(3), images.flip(0, 3))
        for changed in ((-images, images.flip(0)), (images, -images), moved):
            assert (judge(*changed) - score).abs().min() > 1e-4


def test_the_normalisation_is_torchs() -> None:
    own, other = BatchNorm(3), nn.BatchNorm2d(3, momentum=0.01)
    for step in range(3):
        maps = torch.randn(5, 3, 4, 4, generator=Key(f"{step}").torch_generator()) * (step + 1) + step
        torch.testing.assert_close(own(maps), other(maps))
    torch.testing.assert_close(own.eval()(maps), other.eval()(maps))
    assert {name: value.tolist() for name, value in own.state_dict().items()} == {
        name: value.tolist() for name, value in other.state_dict().items() if value.is_floating_point()
    }
    own.reset_parameters()
    assert own.running_mean.eq(0).all()
    assert own.running_var.eq(1).all()


def test_one_value_for_each_channel_is_read_with_the_running_figures() -> None:
    norm = BatchNorm(3)
    norm(torch.randn(5, 3, 4, 4, generator=Key("a").torch_generator()) * 9)
    value = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)
    assert torch.equal(norm.train()(value), norm.eval()(value))


@pytest.mark.usefixtures("narrow")
def test_what_is_kept_is_float_but_for_the_dropouts_state_and_loads_from_a_file() -> None:
    noise, images = batch(2)
    network = generator()
    network(noise, images)
    kept = {name: value.contiguous() for name, value in network.state_dict().items()}
    whole = {name for name, value in kept.items() if not value.is_floating_point()}
    assert whole == {name for name in kept if name.endswith(".state")}
    other = generator(name="other")
    other.load_state_dict(safetensors.torch.load(safetensors.torch.save(kept)))
    # In training mode: the dropout goes on too.
    assert torch.equal(other(noise, images), network(noise, images))
