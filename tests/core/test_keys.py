from __future__ import annotations

import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.keys import Key

names = st.text(max_size=20)


@given(names, names)
def test_the_same_path_gives_the_same_draws(first: str, second: str) -> None:
    one, other = Key(first) / second, Key(f"{first}/{second}")
    assert torch.equal(
        torch.rand(4, generator=one.torch_generator()), torch.rand(4, generator=other.torch_generator())
    )
    assert np.array_equal(one.numpy_generator().random(4), other.numpy_generator().random(4))


def test_siblings_and_parents_differ() -> None:
    key = Key("seed-0")
    family = [key, key / 1, key / 2, key / "cgan", key / "cgan" / 1, key / "cgan" / 2]
    draws = [float(member.numpy_generator().random()) for member in family]
    assert len(set(draws)) == len(family)
    assert len({torch.rand((), generator=member.torch_generator()).item() for member in family}) == len(family)


def test_a_generator_starts_afresh_each_time() -> None:
    key = Key("seed-0") / "trial"
    assert key.torch_generator() is not key.torch_generator()
    used = key.torch_generator()
    first = torch.rand(3, generator=used)
    assert not torch.equal(torch.rand(3, generator=used), first)
    assert torch.equal(torch.rand(3, generator=key.torch_generator()), first)


def test_a_seed_suits_torch_and_numpy() -> None:
    seeds = [(Key("x") / i).seed for i in range(2000)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len(set(seeds)) == len(seeds)
    assert max(seeds) > 2**62, "the seeds fill their range"


def test_seeds_stay_the_same_between_versions() -> None:
    # Results that were published name a seed: changing what it draws would break them silently.
    assert (Key("seed-0") / "repeat-2" / "cgan").seed == 6671173511076666657


def test_the_global_generators_are_left_alone() -> None:
    before = (torch.get_rng_state(), np.random.get_state()[1], random.getstate())  # noqa: NPY002
    key = Key("seed-0")
    torch.rand(8, generator=key.torch_generator())
    key.numpy_generator().random(8)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]
