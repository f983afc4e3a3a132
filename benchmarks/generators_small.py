"""What precision and memory format are worth to a small convolutional network, and what a GPU makes of the DCGAN."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from augment_timing import paired_ratio, take_turns
from generators_eager import Tutorial
from generators_setting import Setting
from torch import Tensor, nn

from tenfold.core.keys import Key
from tenfold.networks.blocks import channels_last

WIDTH, LAYERS, SIDE = 64, 4, 32


def _network() -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(LAYERS):
        layers += [nn.Conv2d(3 if index == 0 else WIDTH, WIDTH, 3, padding=1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, 10))


def _train(network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, half: bool) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        scores = network(images)
    optimizer.zero_grad()
    F.cross_entropy(scores.float(), labels).backward()
    optimizer.step()


def small_network(threads: int, batch: int, rounds: int) -> list[str]:
    """A line for each form: images a second of training, and the ratio to the plain one within the rounds."""
    torch.set_num_threads(threads)
    random = Key("benchmark/small").torch_generator()
    images = torch.randn(batch, 3, SIDE, SIDE, generator=random)
    labels = torch.randint(10, (batch,), generator=random)
    forms = {
        "float32, contiguous": (torch.contiguous_format, False),
        "float32, channels_last": (torch.channels_last, False),
        "bfloat16, channels_last": (torch.channels_last, True),
    }
    calls: dict[str, Callable[[], object]] = {}
    for name, (layout, half) in forms.items():
        network = channels_last(_network()) if layout == torch.channels_last else _network()
        optimizer = torch.optim.Adam(network.parameters())
        calls[name] = partial(_train, network, optimizer, images.to(memory_format=layout), labels, half)
    seconds = take_turns(calls, rounds, 0.0)
    plain = seconds["float32, contiguous"]
    lines = []
    for name, each in seconds.items():
        ratio = paired_ratio(each, plain)
        speed = f"{batch / np.median(each):.0f} images/s, {ratio.median:.2f}x ({ratio.lower:.2f}..{ratio.upper:.2f})"
        lines.append(f"- {threads} thread{'s' * (threads > 1)}, {name}: {speed}")
    return lines


def on_gpu(setting: Setting, rounds: int) -> list[str]:
    """The critic's forward and backward pass in several forms beside the limits of the card; a line without one."""
    if not torch.cuda.is_available():
        return ["no GPU here"]
    device, random = "cuda", Key("benchmark/gpu").torch_generator()
    images = torch.randn(2 * setting.real, 3, setting.size, setting.size, generator=random).to(device)
    square = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    critic = Tutorial(setting, images, random).critic.to(device)
    fast = channels_last(Tutorial(setting, images, random).critic.to(device))
    last = images.to(memory_format=torch.channels_last)
    compiled = torch.compile(fast)

    def passes(network: Callable[[Tensor], Tensor], images: Tensor, half: bool) -> None:
        with torch.autocast(device, torch.bfloat16, enabled=half):
            network(images).mean().backward()

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            passes(fast, last, True)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        passes(fast, last, True)
    calls: dict[str, Callable[[], object]] = {
        "float32, eager": partial(passes, critic, images, False),
        "bfloat16, channels_last": partial(passes, fast, last, True),
        "bfloat16, channels_last, torch.compile": partial(passes, compiled, last, True),
        "bfloat16, channels_last, CUDA graph": graph.replay,
        "limit: matrix product in bfloat16": lambda: square @ square,
        "limit: copy of the images": images.clone,
    }
    seconds = take_turns(calls, rounds, 0.05, torch.cuda.synchronize)
    limit = 2 * 8192**3 / float(np.median(seconds.pop("limit: matrix product in bfloat16")))
    copied = 2 * images.numel() * 4 / float(np.median(seconds.pop("limit: copy of the images")))
    work = 2 * len(images) * _products(setting) * 3  # forward, and backward for weights and for inputs
    lines = [
        f"- {torch.cuda.get_device_name()}: {limit / 1e12:.0f} TFLOP/s in bfloat16, copies {copied / 1e9:.0f} GB/s"
    ]
    for name, each in seconds.items():
        middle = float(np.median(each))
        lines.append(
            f"- critic, {name}: {len(images) / middle:.0f} images/s, {work / middle / limit:.0%} of the limit"
        )
    return lines


def _products(setting: Setting) -> int:
    """Multiplications of the critic's convolutions for one image."""
    sides = [setting.size // 2**k for k in range(1, setting.halvings + 1)]
    inputs = [3] + [setting.critic_width] * (len(sides) - 1)
    return sum(16 * a * setting.critic_width * side**2 for a, side in zip(inputs, sides, strict=True))
