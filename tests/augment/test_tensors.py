from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import torch

from tenfold.augment import tensors as draws
from tenfold.augment.tensors import Draws, beta, dirichlet, uniform
from tenfold.core.keys import Key

EDGE = 1e-6
"""Nearer to 0 and 1 than this a float32 cannot say where a draw is."""


def key(name: str) -> torch.Generator:
    return Key(f"tests of draws/{name}").torch_generator()


def follows(drawn: torch.Tensor, law: scipy.stats.rv_continuous) -> None:
    """As many draws as stated lie between the edges, and those follow the law."""
    values = drawn.double().numpy()
    inside = values[(values > EDGE) & (values < 1 - EDGE)]
    share = law.cdf(1 - EDGE) - law.cdf(EDGE)
    assert scipy.stats.binomtest(len(inside), len(values), share).pvalue > 0.001
    assert scipy.stats.kstest(inside, lambda x: (law.cdf(x) - law.cdf(EDGE)) / share).pvalue > 0.001


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 4.0])
@pytest.mark.parametrize("shares", [2, 3, 6])
def test_each_share_of_dirichlet_follows_its_law(alpha: float, shares: int) -> None:
    drawn = dirichlet(alpha, shares, 4000, key(f"dirichlet {alpha} {shares}"))
    if shares == 2:
        assert torch.equal(drawn[:, 0], beta(alpha, 4000, key(f"dirichlet {alpha} {shares}")))
    assert drawn.shape == (4000, shares)
    assert drawn.min() >= 0
    assert (drawn.sum(1) - 1).abs().max() <= 1e-6
    for column in (0, shares - 1):
        follows(drawn[:, column], scipy.stats.beta(alpha, alpha * (shares - 1)))


def test_shares_of_dirichlet_hang_together_as_stated() -> None:
    drawn = dirichlet(0.5, 3, 20000, key("covariance")).double().numpy()
    stated = scipy.stats.dirichlet([0.5] * 3).cov()
    assert np.allclose(np.cov(drawn.T), stated, atol=0.005)


@pytest.mark.parametrize("alpha", [1e-12, 1e-6, 1e6, 1e12])
def test_extreme_laws_give_numbers(alpha: float) -> None:
    for drawn in (beta(alpha, 200, key("extreme")), dirichlet(alpha, 4, 200, key("extreme")).max(1).values):
        assert drawn.isfinite().all()
        assert drawn.min() >= 0
        assert drawn.max() <= 1
    drawn = beta(alpha, 200, key("extreme"))
    if alpha < 1:
        assert ((drawn == 0) | (drawn == 1)).all()
        assert 60 < drawn.sum() < 140
    else:
        assert torch.allclose(drawn, torch.tensor(0.5), atol=0.01)


def test_uniform_follows_its_law() -> None:
    drawn = uniform((40, 100), key("uniform"))
    assert drawn.shape == (40, 100)
    assert scipy.stats.kstest(drawn.flatten().double().numpy(), "uniform").pvalue > 0.001


def test_draws_come_from_the_generator_alone() -> None:
    for draw in (lambda g: uniform((9,), g), lambda g: beta(0.3, 9, g), lambda g: dirichlet(0.3, 3, 9, g)):
        generator = key("one")
        first, second = draw(generator), draw(generator)
        assert torch.equal(first, draw(key("one")))
        assert not torch.equal(first, second)


def test_workers_of_a_loader_draw_differently_and_again_in_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [uniform((9,), Draws(1).generator())]
    for worker_seed in (100, 101, 200, 201):  # two workers, two epochs: each starts with a copy of the transform
        monkeypatch.setattr(draws, "get_worker_info", lambda seed=worker_seed: SimpleNamespace(seed=seed))
        in_worker = Draws(1)
        drawn = uniform((9,), in_worker.generator())
        assert torch.equal(drawn, uniform((9,), Draws(1).generator())), "the worker's seed names the stream"
        assert not torch.equal(drawn, uniform((9,), in_worker.generator())), "the stream goes on in the worker"
        assert not torch.equal(drawn, uniform((9,), Draws(2).generator()))
        seen.append(drawn)
    assert len({tuple(drawn.tolist()) for drawn in seen}) == 5
