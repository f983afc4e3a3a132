from __future__ import annotations

import pytest
import torch

from tenfold.core.keys import Key
from tenfold.networks.autoencoder import CodeReader, Fader, halvings_of
from tenfold.networks.blocks import SeededDropout, build

SHAPES = [(1, 8, 8), (3, 16, 16), (1, 28, 28), (3, 45, 45), (1, 64, 48)]


def fader(shape: tuple[int, int, int] = (1, 28, 28), bounded: bool = True, share: float = 0.0) -> Fader:
    dropout = [SeededDropout(share, Key(f"drop-{k}")) for k in range(halvings_of(shape)) if share]
    return build(lambda: Fader(shape, 3, 5, 4, bounded, dropout), Key("fader").torch_generator())


def random_images(shape: tuple[int, int, int], count: int = 12) -> torch.Tensor:
    return torch.rand(count, *shape, generator=Key("pictures").torch_generator()) * 2 - 1


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_images_of_any_size_come_back_in_it(shape: tuple[int, int, int]) -> None:
    network, given = fader(shape), random_images(shape)
    labels = torch.arange(12) % 3
    assert network.encode(given).shape == (12, 5)
    made = network(given, labels)
    assert made.shape == given.shape
    assert made.abs().max() <= 1
    assert made.dtype == torch.float32


def test_digits_get_the_maps_of_the_article() -> None:
    with torch.device("meta"):
        network = Fader((1, 28, 28), 10, 16, 16, True)
    assert [block[0].out_channels for block in network.down] == [16, 32]
    assert network.small == (7, 7)
    assert network.to_code.in_features == 32 * 7 * 7


def test_the_decoder_is_told_the_label() -> None:
    network = fader().eval()
    codes = torch.zeros(3, 5)
    first, second, _ = network.decode(codes, torch.arange(3))
    assert not torch.equal(first, second)


def test_a_bounded_code_has_mean_0_and_variance_1_however_large_the_weights() -> None:
    bounded, free = fader(bounded=True), fader(bounded=False)
    for network in (bounded, free):
        with torch.no_grad():
            network.to_code.weight.mul_(1000)
    codes = bounded.encode(random_images((1, 28, 28), 64))
    assert torch.allclose(codes.mean(0), torch.zeros(5), atol=1e-3)
    assert torch.allclose(codes.var(0, correction=0), torch.ones(5), atol=1e-2)
    assert free.encode(random_images((1, 28, 28), 64)).std() > 100


def test_once_trained_a_code_does_not_depend_on_its_batch() -> None:
    network = fader(share=0.2).eval()
    given = random_images((1, 28, 28))
    together, alone = network.encode(given), network.encode(given[:1])
    assert torch.allclose(together[:1], alone, atol=1e-5)


def test_dropout_drops_in_training_alone_and_by_its_key() -> None:
    given = random_images((1, 28, 28))
    first, again = (fader(share=0.5).encode(given) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, fader().encode(given))


def test_nothing_hides_from_a_reader_by_being_small() -> None:
    reader = build(lambda: CodeReader(5, 3), Key("reader").torch_generator())
    codes = torch.randn(64, 5, generator=Key("codes").torch_generator())
    shrunk = codes * torch.tensor([1.0, 1.0, 1.0, 1.0, 0.05])
    assert torch.allclose(reader(codes), reader(shrunk), atol=0.05)
    plain = build(lambda: CodeReader(5, 3, scaled=False), Key("reader").torch_generator())
    assert not torch.allclose(plain(codes), plain(shrunk), atol=0.05)
