from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_contests import TINY, Judge, labelled, paired
from torch import nn

from made_up_sets import easy_set
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.generators import turns
from tenfold.generators.contest import AdversarialConfig, Contest
from tenfold.generators.duel import Duel
from tenfold.methods import cgan, dagan
from tenfold.methods.generating import GeneratorMethod
from tenfold.training.device import threads

KEY = Key("duel")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with threads(1):  # as the loop has it; these tests take its steps one by one
        yield


def started(make: Any, config: AdversarialConfig = TINY, key: Key = KEY) -> tuple[Contest, Duel]:
    contest = make(key)
    return contest, Duel.start(contest, config, key)


def train(contest: Contest, duel: Duel, config: AdversarialConfig, steps: int) -> bytes:
    for _ in range(steps):
        turns.step(contest, duel, config)
    return duel.packed()


def from_method(method: GeneratorMethod) -> Any:
    return lambda key: method.contest(easy_set([5, 5]), key)


SMALL: dict[str, Any] = {"width": 4, "batch_size": 4, "noise_size": 4, "steps": 12}
CONTESTS = {
    "labels": (labelled, TINY),
    "pictures": (paired, TINY),
    "cgan": (from_method(cgan.Method(cgan.Config(**SMALL))), cgan.Config(**SMALL)),
    "dagan": (from_method(dagan.Method(dagan.Config(**SMALL))), dagan.Config(**SMALL)),
}


def told(packed: bytes) -> dict[str, Any]:
    header = json.loads(packed[8 : 8 + int.from_bytes(packed[:8], "little")])
    found: dict[str, Any] = json.loads(header["__metadata__"]["training"])
    return found


@pytest.mark.parametrize("name", CONTESTS)
@pytest.mark.parametrize("steps", [0, 3])
def test_what_is_packed_and_restored_packs_to_the_same_bytes(name: str, steps: int) -> None:
    make, config = CONTESTS[name]
    packed = train(*started(make, config), config, steps)
    _, other = started(make, config, Key("another start"))
    train(make(KEY), other, config, 2)  # whatever state it is in
    assert other.packed() != packed
    other.restore(packed)
    assert other.packed() == packed


def test_plain_state_comes_back_exactly() -> None:
    _, duel = started(labelled)
    duel.step, duel.steps, duel.rate_factor, duel.strength, duel.recoveries = 7, 19, 1 / 3, 0.1 + 0.2, 2
    _, other = started(labelled)
    other.restore(duel.packed())
    assert (other.step, other.steps, other.recoveries) == (7, 19, 2)
    assert (other.rate_factor, other.strength) == (1 / 3, 0.1 + 0.2)
    assert told(duel.packed())["rate_factor"] == 1 / 3


@settings(deadline=None, max_examples=12)
@given(
    st.sampled_from(["labels", "pictures"]),
    st.sampled_from(["relativistic", "binary", "wasserstein"]),
    st.sampled_from(["float32", "bfloat16"]),
    st.lists(st.integers(0, 8), min_size=1, max_size=2).map(sorted),
    st.sampled_from([1, 2]),
)
def test_a_training_killed_anywhere_goes_on_to_the_bit(
    name: str, loss: Any, precision: Any, kills: list[int], critic_steps: int
) -> None:
    make, config = CONTESTS[name]
    config = replace(config, loss=loss, precision=precision, critic_steps=critic_steps, variety=0.5, penalty_every=3)
    undisturbed = train(*started(make, config), config, 8)
    contest, duel = started(make, config)
    done = 0
    for kill in kills:
        packed = train(contest, duel, config, kill - done)
        contest, duel = started(make, config)  # a new process
        duel.restore(packed)
        done = kill
    assert train(contest, duel, config, 8 - done) == undisturbed


@pytest.mark.parametrize("name", ["cgan", "dagan"])
@pytest.mark.parametrize(
    "changes", [{}, {"precision": "bfloat16"}, {"loss": "wasserstein", "critic_steps": 2}], ids=str
)
def test_the_methods_own_networks_go_on_to_the_bit(name: str, changes: dict[str, Any]) -> None:
    make, config = CONTESTS[name]
    config = replace(config, **changes)
    undisturbed = train(*started(make, config), config, 6)
    packed = train(*started(make, config), config, 3)
    contest, duel = started(make, config)
    duel.restore(packed)
    assert train(contest, duel, config, 3) == undisturbed


def test_restored_state_lies_in_memory_as_it_was_made() -> None:
    """Another memory format makes other sums, and so other weights."""
    make, config = CONTESTS["dagan"]
    contest, duel = started(make, config)
    packed = train(contest, duel, config, 2)
    _, other = started(make, config)
    other.restore(packed)
    for name in ("generator", "critic"):
        pairs = zip(duel.optimizers[name].state.items(), other.optimizers[name].state.items(), strict=True)
        for (weight, slots), (its_weight, its_slots) in pairs:
            assert weight.stride() == its_weight.stride()
            assert {k: v.stride() for k, v in slots.items()} == {k: v.stride() for k, v in its_slots.items()}
            assert {k: v.dtype for k, v in slots.items()} == {k: v.dtype for k, v in its_slots.items()}


class Deeper(Judge):
    """A critic with one layer more, all others like the judge's."""

    def __init__(self) -> None:
        super().__init__()
        self.more = nn.Linear(3, 3)


def wider(key: Key) -> Contest:
    return labelled(key, channels=3)


def deeper(key: Key) -> Contest:
    return labelled(key, critic=Deeper)


@pytest.mark.parametrize(
    ("own", "other"),
    [(labelled, wider), (wider, labelled), (labelled, paired), (labelled, deeper), (deeper, labelled)],
)
@pytest.mark.parametrize("steps", [0, 2])
def test_a_checkpoint_of_another_network_is_refused(own: Any, other: Any, steps: int) -> None:
    packed = train(*started(other), replace(TINY, penalty=0.0), steps if other is not deeper else 0)
    _, duel = started(own)
    with pytest.raises(InputError, match="another training; choose another directory"):
        duel.restore(packed)


@settings(deadline=None, max_examples=30)
@given(st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_is_refused(share: float) -> None:
    packed = train(*started(labelled), TINY, 1)
    _, duel = started(labelled)
    with pytest.raises(InputError, match="choose another directory"):
        duel.restore(packed[: int(share * len(packed))])


@pytest.mark.parametrize("length", range(10))
def test_a_file_of_a_few_bytes_is_refused(length: int) -> None:
    _, duel = started(labelled)
    with pytest.raises(InputError, match="choose another directory"):
        duel.restore(duel.packed()[:length])


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", b"\xff" * 64, b"\2" + b"\0" * 7 + b"{}"])
def test_what_is_no_checkpoint_is_refused(content: bytes) -> None:
    _, duel = started(labelled)
    with pytest.raises(InputError, match="choose another directory"):
        duel.restore(content)


def test_the_average_starts_as_the_generator_and_learns_nothing_by_itself() -> None:
    contest, duel = started(labelled)
    assert duel.averaged is not contest.generator
    for slow, fast in zip(duel.averaged.parameters(), duel.generator.parameters(), strict=True):
        assert torch.equal(slow, fast)
        assert slow.data_ptr() != fast.data_ptr()
        assert not slow.requires_grad
        assert fast.requires_grad
    assert (duel.step, duel.steps, duel.strength, duel.rate_factor) == (0, TINY.steps, TINY.augment, 1.0)


def test_nothing_packed_is_pickled() -> None:
    packed = train(*started(labelled), TINY, 1)
    length = int.from_bytes(packed[:8], "little")
    header = json.loads(packed[8 : 8 + length])
    end = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
    assert len(packed) == 8 + length + end, "numbers, and a header of text that says what they are"
