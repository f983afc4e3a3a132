"""Made-up problems, of which thousands of steps take a few seconds, and a loop that remembers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.core.keys import Key
from tenfold.generators.gan import GanStep, TrainedGan, train_gan
from tenfold.generators.problem import GanConfig, GanProblem, Pair
from tenfold.networks.blocks import build
from tenfold.training.callbacks import Callback
from tenfold.training.loop import Outcome, Start, TrainingLoop
from tenfold.training.step import Look

KEY = Key("gan")
SIDE = 6
TINY = GanConfig(steps=20, batch_size=4, noise_size=3, watch_every=5, least_diversity=0.0)

MakeProblem = Callable[[Key], GanProblem]


class Painter(nn.Module):
    """Images of a class from a product with the noise; a scale of 0 takes the noise away: one image a class."""

    def __init__(self, channels: int = 1, noise_scale: float = 1.0) -> None:
        super().__init__()
        self.channels, self.noise_scale = channels, noise_scale
        self.embedding = nn.Embedding(2, 3)
        self.paint = nn.Linear(6, channels * SIDE * SIDE)

    def forward(self, noise: Tensor, labels: Tensor, fade: float = 1.0) -> Tensor:
        code = torch.cat([noise * self.noise_scale, self.embedding(labels) * fade], 1)
        return torch.tanh(self.paint(code)).unflatten(1, (self.channels, SIDE, SIDE))


class PairPainter(nn.Module):
    """The image that was given, shifted in brightness by the noise."""

    def __init__(self) -> None:
        super().__init__()
        self.change = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, noise: Tensor, images: Tensor, fade: float = 1.0) -> Tensor:
        level = noise[:, :1, None, None].expand(-1, 1, *images.shape[2:])
        return torch.tanh(images + self.change(torch.cat([images, level], 1)))


class Judge(nn.Module):
    """One convolution, then a product, in which the condition takes part: a label, or another image."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, stride=2, padding=1)
        self.embedding = nn.Embedding(2, 36)
        self.score = nn.Linear(36, 1)

    def forward(self, images: Tensor, condition: Tensor, fade: float = 1.0) -> Tensor:
        if condition.dim() == 4:
            images, condition = torch.cat([images, condition], 1), torch.zeros(len(images), dtype=torch.int64)
        hidden = nn.functional.leaky_relu(self.conv(images), 0.2).flatten(1)
        return self.score(hidden).squeeze(1) + fade * (hidden * self.embedding(condition)).sum(1) / 6


def labelled(
    key: Key,
    *,
    channels: int = 1,
    noise_scale: float = 1.0,
    spread: float = 0.3,
    held_out: Pair | None = None,
    critic: Callable[[], nn.Module] | None = None,
) -> GanProblem:
    """Two classes, one brighter at the top and one below; images depend on the key as weights do."""
    random = (key / "images").torch_generator()
    pool = 0.3 * torch.randn(24, channels, SIDE, SIDE, generator=random)
    labels = torch.arange(24) % 2
    pool[labels == 0, :, : SIDE // 2] += 0.5
    pool[labels == 1, :, SIDE // 2 :] += 0.5
    pool = pool.clamp(-1, 1)

    def draw(pool: Tensor, count: int, random: torch.Generator) -> Pair:
        chosen = torch.randint(24, (count,), generator=random)
        return pool[chosen], labels[chosen]

    return GanProblem(
        generator=build(lambda: Painter(channels, noise_scale), (key / "generator").torch_generator()),
        critic=build(critic or (lambda: Judge(channels)), (key / "critic").torch_generator()),
        images=pool,
        draw=draw,
        probe=torch.tensor([0, 1]),
        probe_spread=torch.full((2,), spread),
        held_out=held_out,
    )


def paired(key: Key) -> GanProblem:
    """Images under the condition of another image."""
    pool = (0.3 * torch.randn(24, 1, SIDE, SIDE, generator=(key / "images").torch_generator())).clamp(-1, 1)

    def draw(pool: Tensor, count: int, random: torch.Generator) -> Pair:
        chosen = torch.randint(24, (2, count), generator=random)
        return pool[chosen[0]], pool[chosen[1]]

    return GanProblem(
        generator=build(PairPainter, (key / "generator").torch_generator()),
        critic=build(lambda: Judge(2), (key / "critic").torch_generator()),
        images=pool,
        draw=draw,
        probe=pool[:3],
        probe_spread=torch.full((3,), 0.3),
        held_out=(pool[:8], pool[8:16]),
    )


class Killed(Exception):  # not an error: what a kill does to a training
    """Ends a training between two steps."""


class Notebook(Callback):
    """Remembers what it is told, and kills the training after a step when asked to."""

    def __init__(self, killed_after: int | None = None) -> None:
        self.killed_after = killed_after
        """So many steps of this process."""
        self.made: list[GanStep] = []
        """The attempts."""
        self.steps: list[int] = []
        self.losses: list[dict[str, float]] = []
        self.looks: list[Look] = []
        self.looked_after: list[int] = []
        self.rates: list[float] = []
        """Of the step before each look."""
        self.troubles: list[tuple[int, str]] = []

    def step(self, number: int, steps: int, losses: Mapping[str, Tensor]) -> None:
        self.steps.append(number)
        self.losses.append({name: value.item() for name, value in losses.items()})
        if len(self.steps) == self.killed_after:
            raise Killed

    def look(self, number: int, steps: int, look: Look) -> None:
        self.looks.append(look)
        self.looked_after.append(number)
        self.rates.append(float(self.made[-1].optimizers["generator"].param_groups[0]["lr"]))

    def trouble(self, number: int, text: str) -> None:
        self.troubles.append((number, text))

    @property
    def strengths(self) -> list[float]:
        return [look.figures["augmentation_strength"] for look in self.looks]


class Watched(TrainingLoop):
    """A loop that shows a notebook what it trains."""

    def __init__(self, notebook: Notebook, **options: Any) -> None:
        super().__init__(callbacks=[notebook], **options)
        self.notebook = notebook

    def run(self, start: Start, thread_count: int = 1) -> Outcome:
        def noted(attempt: int) -> GanStep:
            step = start(attempt)
            assert isinstance(step, GanStep)
            self.notebook.made.append(step)
            return step

        return super().run(noted, thread_count)


def trained(
    make: MakeProblem = labelled,
    config: GanConfig = TINY,
    key: Key = KEY,
    notebook: Notebook | None = None,
    checkpoint: Path | None = None,
) -> TrainedGan:
    return train_gan(make, config, key, Watched(notebook or Notebook(), checkpoint=checkpoint))


def weights_of(trained: TrainedGan) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in trained.generator.state_dict().items()}
