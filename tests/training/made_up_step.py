"""A training of next to nothing that has everything a training can have."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.core.keys import Key
from tenfold.networks.blocks import build
from tenfold.training.loop import TrainingLoop
from tenfold.training.schedule import Average, warming_cosine
from tenfold.training.step import Look, Outcome, Recovery, Step, Trouble, descend, is_finite

STEPS = 24
GROUP = 3
"""Batches that are drawn together."""


class MadeUpStep(Step):
    """Two networks with an optimiser each, one of them in two groups, an average, draws in groups, a best look."""

    look_every = 6
    most_micro_batches = 4

    def __init__(self, attempt: int = 0, steps: int = STEPS, device: str = "cpu") -> None:
        key = Key("made up") / attempt
        self.steps, self.attempt = steps, attempt
        network = build(lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), key.torch_generator()).to(device)
        other = build(lambda: nn.Linear(4, 1), (key / "other").torch_generator()).to(device)
        self.networks = {"network": network, "other": other, "averaged": copy.deepcopy(network)}
        groups = [{"params": list(network[0].parameters())}, {"params": list(network[1].parameters()), "lr": 0.05}]
        self.optimizers = {
            "network": torch.optim.AdamW(groups, 0.1, fused=device == "cpu"),
            "other": torch.optim.SGD(other.parameters(), 0.1, momentum=0.9),
        }
        self.schedules = {"network": warming_cosine(0.1)}
        self.average = Average("network", "averaged", lambda number, steps: 0.5 if number % 2 == 0 else 0.0)
        self.draws, self.noise = (key / "draws").torch_generator(), (key / "noise").torch_generator()
        self.generators = {"draws": self.draws, "noise": self.noise}
        self.values = {"best": math.inf, "strength": 1.0}
        self.device = torch.device(device)
        self.drawn: list[Tensor] = []
        self.parts_used: list[int] = []

    def step(self, number: int) -> dict[str, Tensor]:
        if not self.drawn:
            self.drawn = list(torch.randn(GROUP, 8, 3, generator=self.draws))
        batch = self.drawn.pop(0).to(self.device)
        noise = torch.rand(8, 1, generator=self.noise).to(self.device)
        loss = (self.networks["other"](self.networks["network"](batch)) - noise).square().mean()
        self.parts_used.append(self.micro_batches)
        self.optimizers["other"].zero_grad(set_to_none=True)
        descend(self.optimizers["network"], loss * self.values["strength"])
        self.optimizers["other"].step()
        return {"loss": loss.detach(), "half": loss.detach() / 2}

    def look(self, number: int) -> Look:
        if not is_finite(*self.networks["network"].parameters()):
            return Look(trouble=Trouble("the losses became NaN"))
        size = sum(one.abs().sum().item() for one in self.networks["averaged"].parameters())
        if size < self.values["best"]:
            self.values["best"] = size
            self.best_weights = copy.deepcopy(self.networks["averaged"].state_dict())
        self.values["strength"] *= 1.01
        return Look({"size": size}, images=torch.zeros(2, 3, 1, 4, 4), note=f"size {size:.2f}")

    def restored(self, number: int) -> None:
        self.drawn = []

    def between_batches(self, number: int) -> bool:
        return not self.drawn


class RollingBack(MadeUpStep):
    """Goes back to its last look twice, then to other first weights."""

    rolls_back = True
    most_recoveries = 3
    look_every = GROUP

    def recovery(self, trouble: Trouble, recoveries: int) -> Recovery:
        return Recovery(restart=recoveries > 2, slower=2.0)

    def recovered(self, trouble: Trouble, recoveries: int, values: Any) -> None:
        self.draws.manual_seed((Key("made up") / "recovery" / recoveries).seed)
        self.values["strength"] = 1.5 * values["strength"]


class Restarting(MadeUpStep):
    most_recoveries = 2


def disturbed(
    kind: type[MadeUpStep],
    what: Callable[[MadeUpStep, int], None],
    made: list[MadeUpStep] | None = None,
    steps: int = STEPS,
) -> Callable[[int], MadeUpStep]:
    """Trainings of this kind in which something is done before each step."""

    class Disturbed(kind):  # type: ignore[misc, valid-type]
        def step(self, number: int) -> dict[str, Tensor]:
            what(self, number)
            return super().step(number)

    def start(attempt: int) -> MadeUpStep:
        step = Disturbed(attempt, steps)
        if made is not None:
            made.append(step)
        return step

    return start


def contents(outcome: Outcome) -> dict[str, Any]:
    """Everything that must be the same."""
    parts = outcome.step.parts()
    tensors = {
        f"{name}/{key}": value.numpy().tobytes()
        for name, network in parts.networks.items()
        for key, value in network.state_dict().items()
    }
    tensors |= {f"best/{name}": value.numpy().tobytes() for name, value in parts.tensors.items()}
    tensors |= {name: one.get_state().numpy().tobytes() for name, one in parts.generators.items()}
    return {
        "tensors": tensors, "values": outcome.step.values, "figures": dict(outcome.figures),
        "numbers": (outcome.steps, outcome.attempt, outcome.recoveries, outcome.micro_batches),
    }  # fmt: skip


def trained(start: Callable[[int], Step] = MadeUpStep, **options: Any) -> dict[str, Any]:
    return contents(TrainingLoop(**options).run(start))
