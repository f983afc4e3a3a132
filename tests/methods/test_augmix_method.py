from __future__ import annotations

import pytest
import torch

from made_up_sets import easy_set
from tenfold.augment import AugMix
from tenfold.augment.augmix import jensen_shannon
from tenfold.augment.tensors import SIGNED, to_float
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.methods import make_method
from tenfold.methods.augmix import consistent
from tenfold.networks.blocks import build
from tenfold.networks.convnet import SmallConvNet
from tenfold.training.recipe import cross_entropy


def network() -> SmallConvNet:
    return build(lambda: SmallConvNet((1, 12, 12), 3, 4), Key("weights").torch_generator())


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    data = easy_set([6, 5, 5], (1, 12, 12))
    return to_float(torch.tensor(data.images)), torch.eye(3)[torch.tensor(data.labels)]


def test_the_loss_is_that_of_the_images_and_of_their_blends() -> None:
    images, labels = batch()
    augmix = AugMix(value_range=SIGNED)
    judge = network().eval()  # without batch statistics the three parts can be told apart
    loss = consistent(judge, images, labels, augmix, 12.0, Key("draws").torch_generator())
    first, second = augmix(torch.cat([images, images]), Key("draws").torch_generator()).chunk(2)
    assert not torch.equal(first, second)
    logits = [judge(part) for part in (images, first, second)]
    expected = cross_entropy(logits[0], labels) + 12 * jensen_shannon(logits)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)


def test_batch_statistics_are_of_all_three() -> None:
    images, labels = batch()
    judge = network().train()
    seen: list[int] = []
    judge.stem.register_forward_hook(lambda module, given, result: seen.append(len(given[0])))
    consistent(judge, images, labels, AugMix(value_range=SIGNED), 1.0, Key("draws").torch_generator())
    assert seen == [3 * len(images)]


def test_without_strength_the_loss_is_the_plain_one() -> None:
    images, labels = batch()
    judge = network().eval()
    still = AugMix(strength=0, value_range=SIGNED)
    loss = consistent(judge, images, labels, still, 12.0, Key("draws").torch_generator())
    assert float(loss.detach()) == pytest.approx(float(cross_entropy(judge(images), labels).detach()), rel=1e-4)


def test_with_consistency_it_brings_a_loss_and_without_a_transform() -> None:
    train = easy_set([4, 4])
    with_loss = make_method("augmix").fit(train, None, Key("one"))
    assert with_loss.objective is not None
    assert with_loss.transforms == ()
    without = make_method("augmix", {"consistency": "0"}).fit(train, None, Key("one"))
    assert without.objective is None
    assert len(without.transforms) == 1
    with pytest.raises(InputError, match="a loss of their own"):
        _ = with_loss + with_loss
