from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from made_up_sets import easy_set
from tenfold.augment.tensors import to_float
from tenfold.core.keys import Key
from tenfold.methods import MethodFailed, vae
from tenfold.training.device import Device

SMALL = vae.Config(steps=20, batch_size=8, width=4, noise_size=4, label_filter=False)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (1, 45, 30)], ids=str)
def test_images_of_any_size_are_encoded_and_drawn(shape: tuple[int, int, int]) -> None:
    made = vae.Vae(SMALL, ("a", "b"), shape)
    train = easy_set([3, 3], shape)
    step, labels = vae.VaeStep(made, train, Key("one") / 0, Device()), torch.tensor(train.labels)
    mean, log_variance = step.encoder(to_float(torch.tensor(train.images)), labels)
    assert mean.shape == log_variance.shape == (6, 4)
    assert step.decoder(mean, labels).shape == (6, *shape)


def test_the_loss_is_the_evidence_bound() -> None:
    config = replace(SMALL, beta=3.0, pixel_deviation=0.5)
    step = vae.VaeStep(vae.Vae(config, ("a", "b"), (1, 8, 8)), easy_set([4, 4]), Key("one") / 0, Device())
    losses = step.step(0)
    expected = losses["error"] * 64 / (2 * 0.5**2) + 3.0 * losses["distance"]
    assert step._loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert losses["distance"] >= 0


def test_another_attempt_has_other_weights_and_a_smaller_rate() -> None:
    made, train = vae.Vae(SMALL, ("a", "b"), (1, 8, 8)), easy_set([4, 4])
    start = made.start(train, Key("one"), Device())
    first, second = start(0), start(1)
    assert not torch.equal(first.decoder.first.weight, second.decoder.first.weight)
    rates = [step.optimizers["both"].param_groups[0]["lr"] for step in (first, second)]
    assert rates == pytest.approx([SMALL.learning_rate, SMALL.learning_rate / 3])
    with pytest.raises(MethodFailed, match="vae: the losses became NaN, and smaller steps did not mend it"):
        vae.Method(replace(SMALL, learning_rate=1e30)).learn(train, Key("one"))
