from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
import torch
from test_tensors import follows

from tenfold.augment import AugMix
from tenfold.augment.augmix import OPERATIONS, SPACE, jensen_shannon
from tenfold.augment.automatic import Operation, operate
from tenfold.core.keys import Key


def random_images(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=Key("augmix").torch_generator())


def test_the_blend_is_that_of_chains_made_one_by_one() -> None:
    images = random_images(12, 3, 20, 20)
    augmix = AugMix(seed=5)
    blended = augmix(images, Key("draws").torch_generator())
    generator = Key("draws").torch_generator()
    operations, strengths = augmix.draw(12, generator)
    weights = augmix.draw_weights(12, generator)
    for index, image in enumerate(images):
        expected = weights[index, 0] * image
        for chain in range(3):
            part, place = image[None], slice(chain * 12 + index, chain * 12 + index + 1)
            for step in range(3):
                part = operate(part, operations[step, place], strengths[step, place], space=SPACE)
            expected = expected + weights[index, 1 + chain] * part[0]
        # A level on the edge of two may fall otherwise in a batch of another size.
        assert ((blended[index] - expected).abs() < 1e-4).float().mean() > 0.97


def test_the_draws_follow_the_stated_laws() -> None:
    augmix = AugMix(chains=2, depth=(1, 4), strength=0.6)
    operations, strengths = augmix.draw(6000, Key("laws").torch_generator())
    assert operations.shape == strengths.shape == (4, 12000)
    assert set(operations.unique().tolist()) == {Operation.IDENTITY, *OPERATIONS}
    idle = operations == Operation.IDENTITY
    assert not (idle[:-1] & ~idle[1:]).any(), "a chain stops and goes on again"
    lengths = torch.bincount((~idle).sum(0), minlength=5)
    assert lengths[0] == 0
    assert scipy.stats.chisquare(lengths[1:].numpy()).pvalue > 0.001
    drawn = torch.bincount(operations[~idle])[torch.tensor(OPERATIONS)]
    assert scipy.stats.chisquare(drawn.numpy()).pvalue > 0.001
    assert scipy.stats.kstest(strengths.flatten().numpy(), scipy.stats.uniform(-0.6, 1.2).cdf).pvalue > 0.001


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_the_weights_are_beta_and_dirichlet(alpha: float) -> None:
    weights = AugMix(chains=3, alpha=alpha).draw_weights(5000, Key("weights").torch_generator()).double()
    assert weights.shape == (5000, 4)
    assert torch.allclose(weights.sum(1), torch.ones(5000, dtype=torch.float64), atol=1e-6)
    assert (weights >= 0).all()
    follows(weights[:, 0], scipy.stats.beta(alpha, alpha))
    inside = weights[(weights[:, 0] < 0.99)]
    for chain in range(1, 4):
        follows(inside[:, chain] / (1 - inside[:, 0]), scipy.stats.beta(alpha, 2 * alpha))


def test_corruptions_that_benchmarks_test_are_left_out() -> None:
    assert not {Operation.BRIGHTNESS, Operation.CONTRAST, Operation.SATURATION, Operation.SHARPNESS} & {*OPERATIONS}


def test_a_chain_of_nothing_gives_the_image_back() -> None:
    images = random_images(8, 1, 28, 28)
    assert torch.allclose(AugMix(depth=(0, 0))(images, Key("draws").torch_generator()), images, atol=1e-6)


@pytest.mark.parametrize("spread", [0.1, 3.0, 30.0])
def test_the_divergence_of_two_is_scipys(spread: float) -> None:
    one, two = torch.randn(2, 50, 7, generator=Key("logits").torch_generator(), dtype=torch.float64) * spread
    rows = zip(one.softmax(1).numpy(), two.softmax(1).numpy(), strict=True)
    expected = np.mean([scipy.spatial.distance.jensenshannon(p, q) ** 2 for p, q in rows])
    assert math.isclose(float(jensen_shannon([one, two])), expected, rel_tol=1e-6)


def test_the_divergence_of_three_is_the_mean_of_entropies() -> None:
    logits = list(torch.randn(3, 20, 5, generator=Key("three").torch_generator(), dtype=torch.float64) * 2)
    shares = np.stack([part.softmax(1).numpy() for part in logits])
    entropy = scipy.stats.entropy(shares.mean(0), axis=1) - scipy.stats.entropy(shares, axis=2).mean(0)
    assert math.isclose(float(jensen_shannon(logits)), entropy.mean(), rel_tol=1e-9)


def test_the_divergence_has_its_bounds_and_stays_finite() -> None:
    sure = torch.eye(3) * 1e4
    assert float(jensen_shannon([sure, sure, sure])) == pytest.approx(0, abs=1e-6)
    apart = [sure[[i, (i + 1) % 3, (i + 2) % 3]].requires_grad_() for i in range(3)]
    far = jensen_shannon(apart)
    assert float(far.detach()) == pytest.approx(math.log(3), rel=1e-5)
    far.backward()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in apart)
