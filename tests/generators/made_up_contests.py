"""Made-up contests, of which thousands of steps take a few seconds, and a keeper that writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from tenfold.core.keys import Key
from tenfold.generators.adversarial import Outcome
from tenfold.generators.contest import AdversarialConfig, Contest, Pair
from tenfold.generators.duel import Duel
from tenfold.generators.keeping import Keeper
from tenfold.networks.blocks import build

SIDE = 6
TINY = AdversarialConfig(steps=20, batch_size=4, noise_size=3, watch_every=5, least_diversity=0.0)

MakeContest = Callable[[Key], Contest]


class Painter(nn.Module):
    """Pictures of a class from a product with the noise; a scale of 0 takes the noise away: one picture a class."""

    def __init__(self, channels: int = 1, noise_scale: float = 1.0) -> None:
        super().__init__()
        self.channels, self.noise_scale = channels, noise_scale
        self.embedding = nn.Embedding(2, 3)
        self.paint = nn.Linear(6, channels * SIDE * SIDE)

    def forward(self, noise: Tensor, labels: Tensor, fade: float = 1.0) -> Tensor:
        code = torch.cat([noise * self.noise_scale, self.embedding(labels) * fade], 1)
        return torch.tanh(self.paint(code)).unflatten(1, (self.channels, SIDE, SIDE))


class PairPainter(nn.Module):
    """The picture that was given, shifted in brightness by the noise."""

    def __init__(self) -> None:
        super().__init__()
        self.change = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, noise: Tensor, pictures: Tensor, fade: float = 1.0) -> Tensor:
        level = noise[:, :1, None, None].expand(-1, 1, *pictures.shape[2:])
        return torch.tanh(pictures + self.change(torch.cat([pictures, level], 1)))


class Judge(nn.Module):
    """One convolution, then a product, in which the condition takes part: a label, or another picture."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, stride=2, padding=1)
        self.embedding = nn.Embedding(2, 36)
        self.score = nn.Linear(36, 1)

    def forward(self, pictures: Tensor, condition: Tensor, fade: float = 1.0) -> Tensor:
        if condition.dim() == 4:
            pictures, condition = torch.cat([pictures, condition], 1), torch.zeros(len(pictures), dtype=torch.int64)
        hidden = nn.functional.leaky_relu(self.conv(pictures), 0.2).flatten(1)
        return self.score(hidden).squeeze(1) + fade * (hidden * self.embedding(condition)).sum(1) / 6


def labelled(
    key: Key,
    *,
    channels: int = 1,
    noise_scale: float = 1.0,
    spread: float = 0.3,
    held_out: Pair | None = None,
    critic: Callable[[], nn.Module] | None = None,
) -> Contest:
    """Two classes, one brighter at the top and one below; pictures depend on the key as weights do."""
    random = (key / "pictures").torch_generator()
    pool = 0.3 * torch.randn(24, channels, SIDE, SIDE, generator=random)
    labels = torch.arange(24) % 2
    pool[labels == 0, :, : SIDE // 2] += 0.5
    pool[labels == 1, :, SIDE // 2 :] += 0.5
    pool = pool.clamp(-1, 1)

    def draw(count: int, random: torch.Generator) -> Pair:
        chosen = torch.randint(24, (count,), generator=random)
        return pool[chosen], labels[chosen]

    return Contest(
        generator=build(lambda: Painter(channels, noise_scale), (key / "generator").torch_generator()),
        critic=build(critic or (lambda: Judge(channels)), (key / "critic").torch_generator()),
        draw=draw,
        probe=torch.tensor([0, 1]),
        probe_spread=torch.full((2,), spread),
        held_out=held_out,
    )


def paired(key: Key) -> Contest:
    """Pictures under the condition of another picture."""
    pool = (0.3 * torch.randn(24, 1, SIDE, SIDE, generator=(key / "pictures").torch_generator())).clamp(-1, 1)

    def draw(count: int, random: torch.Generator) -> Pair:
        chosen = torch.randint(24, (2, count), generator=random)
        return pool[chosen[0]], pool[chosen[1]]

    return Contest(
        generator=build(PairPainter, (key / "generator").torch_generator()),
        critic=build(lambda: Judge(2), (key / "critic").torch_generator()),
        draw=draw,
        probe=pool[:3],
        probe_spread=torch.full((3,), 0.3),
        held_out=(pool[:8], pool[8:16]),
    )


class Killed(Exception):  # not an error: what a kill does to a training
    """Ends a training between two steps."""


class Notebook(Keeper):
    """Remembers what it is told, and kills the training after a step when asked to."""

    def __init__(self, kept: bytes | None = None, killed_after: int | None = None, most_steps: int = 2**62) -> None:
        self.kept, self.killed_after, self.most_steps = kept, killed_after, most_steps
        self.steps: list[int] = []
        self.figures: list[dict[str, float]] = []
        self.looks: list[tuple[int, float, float, float]] = []
        """Step, factor of the rate, strength, rate of the last step."""
        self.seen: list[dict[str, float]] = []
        self.troubles: list[tuple[int, str]] = []
        self.paces: list[float] = []

    def checkpoint(self) -> bytes | None:
        return self.kept

    def affordable_steps(self, seconds_a_step: float, done: int) -> int:
        self.paces.append(seconds_a_step)
        return self.most_steps

    def log(self, step: int, figures: Mapping[str, Tensor]) -> None:
        self.steps.append(step)
        self.figures.append({name: value.item() for name, value in figures.items()})
        if step == self.killed_after:
            raise Killed

    def look(self, duel: Duel, seen: Mapping[str, float], packed: bytes, contest: Contest, pictures: Tensor) -> None:
        self.kept = packed
        rate = float(duel.optimizers["generator"].param_groups[0]["lr"])
        self.looks.append((duel.step, duel.rate_factor, duel.strength, rate))
        self.seen.append(dict(seen))

    def trouble(self, step: int, text: str) -> None:
        self.troubles.append((step, text))


def weights_of(outcome: Outcome) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in outcome.generator.state_dict().items()}
