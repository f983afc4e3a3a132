from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.networks.blocks import build
from tenfold.training.checkpoint import Parts, State

Make = Callable[[Iterable[Any]], torch.optim.Optimizer]
OPTIMIZERS: dict[str, Make] = {
    "sgd": lambda groups: torch.optim.SGD(groups, 0.1, momentum=0.9),
    "sgd without momentum": lambda groups: torch.optim.SGD(groups, 0.1),
    "adam": lambda groups: torch.optim.Adam(groups, 0.1),
    "fused adam": lambda groups: torch.optim.Adam(groups, 0.1, fused=True),
    "fused adamw": lambda groups: torch.optim.AdamW(groups, 0.1, fused=True, amsgrad=True),
    "rmsprop": lambda groups: torch.optim.RMSprop(groups, 0.1, momentum=0.5),
    "adafactor": lambda groups: torch.optim.Adafactor(groups, 0.1),
}


def parts(make: Make = OPTIMIZERS["fused adamw"], groups: int = 2) -> Parts:
    def network() -> nn.Module:
        layers = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 1))
        return layers.to(memory_format=torch.channels_last)

    key = Key("parts")
    made = build(network, key.torch_generator())
    layers = [list(layer.parameters()) for layer in made]
    learned = [{"params": layers[0] + layers[1]}, {"params": layers[3]}] if groups == 2 else made.parameters()
    generators = {name: (key / name).torch_generator() for name in ("draws", "noise")}
    return Parts({"network": made}, {"own": make(learned)}, generators)


def step(training: Parts) -> float:
    batch = torch.randn(4, 2, 4, 4, generator=training.generators["draws"]).contiguous(
        memory_format=torch.channels_last
    )
    loss = training.networks["network"](batch).square().mean()
    training.optimizers["own"].zero_grad(set_to_none=True)
    loss.backward()
    training.optimizers["own"].step()
    return float(loss.detach() + torch.rand((), generator=training.generators["noise"]))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("before", [0, 3])
def test_a_training_goes_on_to_the_bit_with_any_optimiser(name: str, groups: int, before: int) -> None:
    training, other = parts(OPTIMIZERS[name], groups), parts(OPTIMIZERS[name], groups)
    for _ in range(before):
        step(training)
    file = State.of(training, {}).pack()
    step(other)
    assert State.unpack(file).restore(other) == {}
    assert [step(other) for _ in range(4)] == [step(training) for _ in range(4)]
    assert State.of(other, {}).pack() == State.of(training, {}).pack()


def test_a_clone_stays_as_it_is_and_can_be_gone_back_to_twice() -> None:
    training = parts()
    step(training)
    values = {"seen": [1]}
    sound = State.of(training, values).clone()
    values["seen"].append(2)
    courses = []
    for _ in range(2):
        sound.restore(training)
        courses.append([step(training) for _ in range(3)])
    assert courses[0] == courses[1]
    assert sound.values == {"seen": [1]}


def test_slots_take_the_memory_format_of_their_parameters() -> None:
    training = parts()
    step(training)
    State.unpack(State.of(training, {}).pack()).restore(training)
    weight = training.networks["network"][0].weight  # type: ignore[index]
    slot = training.optimizers["own"].state[weight]["exp_avg"]
    assert slot.stride() == weight.stride() != slot.contiguous().stride()


def test_plain_values_are_exact() -> None:
    values = {"rate": 0.1 + 0.2, "least": 5e-324, "worst": math.inf, "names": ["é", ""], "none": None, "n": 2**62}
    assert State.unpack(State.of(Parts(), values).pack()).values == values


def test_tensors_of_its_own_come_and_go() -> None:
    best = {"0.weight": torch.arange(3.0)}
    file = State.of(Parts(tensors=best), {}).pack()
    result = State.unpack(file).restore(Parts())
    assert list(result) == ["0.weight"]
    assert torch.equal(result["0.weight"], best["0.weight"])


NESTED = b"[" * 50_000


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\0" * 7, b"\xff" * 64, b"{}", b"\2" + b"\0" * 7 + b"{}", len(NESTED).to_bytes(8, "little") + NESTED],
    ids=lambda garbage: garbage[:9],
)
def test_what_is_no_checkpoint_is_refused(garbage: bytes) -> None:
    with pytest.raises(InputError, match="another training"):
        State.unpack(garbage)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, None) for name in ("network/0.weight", "random/noise")),
        *((name, torch.zeros(1)) for name in ("network/9.weight", "random/other", "optimizer/own/2/0/step")),
        ("optimizer/x/0/0/step", torch.zeros(1)),
        ("network/3.weight", torch.zeros(1, 11)),
    ],
)
def test_a_state_that_lacks_something_or_holds_more_or_of_another_shape_is_refused(
    name: str, value: Tensor | None
) -> None:
    training = parts()
    step(training)
    tensors = {**State.of(training, {}).clone().tensors, name: value}
    state = State({name: one for name, one in tensors.items() if one is not None}, {})
    with pytest.raises(InputError, match="another training"):
        state.restore(training)
