"""The DCGAN in plain PyTorch as tutorials write it: eager, contiguous float32, torch's own first weights.

    python generators_eager.py SETTING      (a line of JSON; see generators_setting.py)

The loop is the usual one: the critic on real and on generated images, one backward pass each, then the generator
through the same generated images, which are thus drawn once a step.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from generators_setting import Setting, Turns
from torch import Tensor, nn


def critic_network(setting: Setting) -> nn.Sequential:
    layers: list[nn.Module] = []
    widths = [3] + [setting.critic_width] * setting.halvings
    for inputs, outputs in pairwise(widths):
        layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU(setting.slope)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(setting.dropout), nn.Linear(16 * widths[-1], 1))


def generator_network(setting: Setting) -> nn.Sequential:
    first = setting.generator_widths[0]
    layers: list[nn.Module] = [
        nn.Linear(setting.noise, 16 * first),
        nn.LeakyReLU(setting.slope),
        nn.Unflatten(1, (first, 4, 4)),
    ]
    for inputs, outputs in pairwise(setting.generator_widths):
        layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU(setting.slope)]
    return nn.Sequential(
        *layers, nn.ConvTranspose2d(setting.generator_widths[-1], 3, 4, stride=2, padding=1), nn.Tanh()
    )


@dataclass
class Tutorial:
    """Both networks with their optimisers."""

    setting: Setting
    images: Tensor
    draws: torch.Generator

    def __post_init__(self) -> None:
        self.generator, self.critic = generator_network(self.setting), critic_network(self.setting)
        self.loss = nn.BCEWithLogitsLoss()
        self.generator_adam, self.critic_adam = (
            torch.optim.Adam(network.parameters(), self.setting.rate, betas=(self.setting.beta1, 0.999))
            for network in (self.generator, self.critic)
        )

    def noise(self, count: int) -> Tensor:
        return torch.randn(count, self.setting.noise, generator=self.draws)

    def step(self) -> None:
        count = self.setting.real
        real = self.images[torch.randint(len(self.images), (count,), generator=self.draws)]
        ones, zeros = torch.ones(count, 1), torch.zeros(count, 1)
        self.critic_adam.zero_grad()
        self.loss(self.critic(real), ones).backward()
        fake = self.generator(self.noise(count))
        self.loss(self.critic(fake.detach()), zeros).backward()
        self.critic_adam.step()
        self.generator_adam.zero_grad()
        if self.setting.generated != count:  # the article's turn is larger than what the critic saw
            fake = self.generator(self.noise(self.setting.generated))
        self.loss(self.critic(fake), torch.ones(len(fake), 1)).backward()
        self.generator_adam.step()

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        drawn = torch.cat([self.generator(rows) for rows in self.noise(count).split(64)])
        return ((drawn + 1) * 127.5).round().to(torch.uint8)


def count(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


def main() -> None:
    setting = Setting.parse(sys.argv[1])
    torch.set_num_threads(setting.threads)
    images = torch.from_numpy(np.load(setting.pixels)).float() / 127.5 - 1
    tutorial = Tutorial(setting, images, torch.Generator().manual_seed(setting.seed))
    Turns(tutorial.sample, (count(tutorial.generator), count(tutorial.critic))).train(tutorial.step)


if __name__ == "__main__":
    main()
