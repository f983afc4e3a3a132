"""The contenders: each pipeline as tenfold and its peers write it, uint8 images and labels in, floats out.

Peers are no requirement of tenfold; the benchmark names those that are missing. Each is given its fastest form.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tenfold.augment import Classical, CutMix, MixUp, RandAugment, Ranges
from tenfold.core.keys import Key

PEERS = {
    "kornia": "pip install kornia==0.9.0",
    "albumentations": "pip install albumentations==2.0.8",
    "timm": "pip install --no-deps timm",
    "torchvision": "pip install torchvision",
    "pillow": "pip install pillow",
}
ALPHA = 0.3
Answer = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class Contender:
    """One way to do it."""

    name: str
    library: str
    call: Callable[[Tensor, Tensor], Answer]
    on_gpu: bool = True


Makers = dict[str, Callable[[str, int, int], list[Contender]]]


def contenders(
    pipeline: str, channels: int, classes: int, compiled: bool = False
) -> tuple[list[Contender], list[str]]:
    """Who takes part in a pipeline, and a line for each peer that cannot, with the reason."""
    taking_part, missing = _tenfold(pipeline, classes, compiled), []
    makers: Makers = {
        "kornia": _kornia,
        "albumentations": _albumentations,
        "timm": _timm,
        "torchvision": _torchvision,
        "pillow": _pillow,
    }
    for library, make in makers.items():
        try:
            version(library)
            for contender in make(pipeline, channels, classes):
                fault = _breaks(contender, channels, classes)
                taking_part += [contender] * (not fault)
                missing += [f"{contender.name} fails at {pipeline}: {fault}"] * bool(fault)
        except PackageNotFoundError:
            missing.append(f"{library} is not installed: {PEERS[library]}")
        except (ImportError, RuntimeError) as reason:
            missing.append(f"{library} {version(library)} cannot be imported: {str(reason).splitlines()[0]}")
    return taking_part, missing


def _breaks(contender: Contender, channels: int, classes: int) -> str:
    """Why a peer cannot do it at all, or nothing: a long run must not end for one of them."""
    try:
        contender.call(torch.zeros(4, channels, 28, 28, dtype=torch.uint8), torch.arange(4) % classes)
    except Exception as reason:
        return f"{type(reason).__name__}: {str(reason).splitlines()[0] if str(reason) else ''}"
    return ""


def to_float(images: Tensor) -> Tensor:
    """What all have to do, and the limit."""
    return images.float().div_(255)


def _from_rows(rows: list[Any]) -> Tensor:
    """H x W x C, or H x W, uint8 arrays as one batch of floats."""
    stacked = torch.from_numpy(np.stack(rows))
    return to_float(stacked[:, None] if stacked.ndim == 3 else stacked.movedim(3, 1)).contiguous()


def _tenfold(pipeline: str, classes: int, compiled: bool) -> list[Contender]:
    if pipeline == "classical":
        ranges = Ranges(degrees=15, shift=0.1, noise=0.2, erase=0.5)
        classical = Classical(ranges, flips="horizontal")
        return [Contender("tenfold", "tenfold", lambda images, labels: (classical(images), None))]
    if pipeline == "RandAugment":
        automatic = RandAugment(2)
        return [Contender("tenfold", "tenfold", lambda images, labels: (automatic(images), None))]
    kind = {"MixUp": MixUp, "CutMix": CutMix}[pipeline]
    ours = [Contender("tenfold", "tenfold", kind(ALPHA, classes=classes))]
    if compiled:
        mix = kind(ALPHA, classes=classes)
        fused = torch.compile(lambda images, labels: mix(images, labels))
        ours.append(Contender("tenfold, torch.compile", "tenfold", fused))
    return ours


def _kornia(pipeline: str, channels: int, classes: int) -> list[Contender]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import kornia.augmentation as kornia
        from kornia.augmentation.auto.rand_augment.rand_augment import RandAugment as KorniaRandAugment
        from kornia.augmentation.auto.rand_augment.rand_augment import default_policy

    def contender(name: str, module: torch.nn.Module) -> Contender:
        return Contender(f"kornia{name}", "kornia", lambda images, labels: (module(to_float(images)), None))

    def mixing(module: torch.nn.Module) -> Contender:
        return Contender("kornia", "kornia", lambda images, labels: tuple(module(to_float(images), labels)))

    if pipeline == "MixUp":
        return [mixing(kornia.RandomMixUpV2(data_keys=["input", "class"]))]
    if pipeline == "CutMix":
        return [mixing(kornia.RandomCutMixV2(data_keys=["input", "class"], use_correct_lambda=True))]
    if pipeline == "RandAugment":
        fitting = [part for part in default_policy if channels == 3 or part[0][0] != "color"]
        return [contender("", KorniaRandAugment(2, 15, policy=fitting))]
    ending = (
        kornia.RandomGaussianNoise(std=0.05, p=1.0),
        kornia.RandomErasing(scale=(0.05, 0.2), ratio=(1 / math.e, math.e), p=0.5),
    )
    fused = (kornia.RandomHorizontalFlip(p=0.5), kornia.RandomAffine(15.0, translate=(0.1, 0.1), p=1.0), *ending)
    apart = (
        kornia.RandomRotation(15.0, p=1.0),
        kornia.RandomHorizontalFlip(p=0.5),
        kornia.RandomAffine(0.0, translate=(0.1, 0.1), p=1.0),
        *ending,
    )
    return [
        contender(", one affine", kornia.AugmentationSequential(*fused, data_keys=["input"])),
        contender(", rotation and shift apart", kornia.AugmentationSequential(*apart, data_keys=["input"])),
        contender(", one affine, plain nn.Sequential", torch.nn.Sequential(*fused)),
    ]


def _albumentations(pipeline: str, channels: int, classes: int) -> list[Contender]:
    if pipeline != "classical":
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import albumentations

    change = albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.Affine(rotate=(-15, 15), translate_percent=(-0.1, 0.1), p=1),
            albumentations.GaussNoise(std_range=(0, 0.1), p=1),
            albumentations.Erasing(scale=(0.05, 0.2), ratio=(1 / math.e, math.e), p=0.5),
        ]
    )

    def call(images: Tensor, labels: Tensor) -> Answer:
        rows = np.ascontiguousarray(images.movedim(1, 3).numpy())
        return _from_rows([change(image=row)["image"] for row in rows]), None

    return [Contender("albumentations, a loop", "albumentations", call, on_gpu=False)]


def _timm(pipeline: str, channels: int, classes: int) -> list[Contender]:
    if pipeline == "RandAugment":
        grey = 128 if channels == 1 else (128,) * channels
        one = _timm_file("auto_augment").rand_augment_transform("rand-m5-n2-p1", {"img_mean": grey})
        return [
            Contender("timm, a loop", "timm", lambda images, labels: (_on_pillow(one, images), None), on_gpu=False)
        ]
    name = {"MixUp": "mixup_alpha", "CutMix": "cutmix_alpha"}.get(pipeline)
    if name is None:
        return []
    both = {"mixup_alpha": 0.0, "cutmix_alpha": 0.0, "num_classes": classes} | {name: ALPHA}

    def contender(mode: str) -> Contender:
        mix = _timm_file("mixup").Mixup(**both, mode=mode)
        return Contender(f"timm, mode {mode}", "timm", lambda images, labels: mix(to_float(images), labels))

    return [contender("elem"), contender("batch")]


def _timm_file(name: str) -> ModuleType:
    """One file of timm: the package as a whole asks for torchvision, these files do not."""
    path = distribution("timm").locate_file(f"timm/data/{name}.py")
    specification = importlib.util.spec_from_file_location(f"timm_{name}", str(path))
    if specification is None or specification.loader is None:
        raise ImportError(f"no file {path}")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _on_pillow(change: Callable[[Any], Any], images: Tensor) -> Tensor:
    from PIL import Image

    rows = images[:, 0].numpy() if images.shape[1] == 1 else np.ascontiguousarray(images.movedim(1, 3).numpy())
    return _from_rows([np.asarray(change(Image.fromarray(row))) for row in rows])


def _pillow(pipeline: str, channels: int, classes: int) -> list[Contender]:
    if pipeline != "classical":
        return []
    from PIL import Image

    draw = Key("benchmark/pillow").numpy_generator()

    def change(image: Any) -> Any:
        width, height = image.size
        angle = math.radians(draw.uniform(-15, 15))
        mirror = draw.choice((-1, 1))
        cosine, sine = math.cos(angle), math.sin(angle)
        right = width / 2 + draw.uniform(-0.1, 0.1) * width
        down = height / 2 + draw.uniform(-0.1, 0.1) * height
        # Pillow asks from where a pixel is taken: back by the shift, then turned, then mirrored.
        across = (mirror * cosine, mirror * sine, width / 2 - mirror * (cosine * right + sine * down))
        along = (-sine, cosine, height / 2 + sine * right - cosine * down)
        moved = image.transform(image.size, Image.Transform.AFFINE, across + along, Image.Resampling.BILINEAR)
        if draw.random() < 0.5:
            area, ratio = draw.uniform(0.05, 0.2), math.exp(draw.uniform(-1, 1))
            box_width, box_height = int(width * math.sqrt(area * ratio)), int(height * math.sqrt(area / ratio))
            left, top = draw.integers(width - box_width + 1), draw.integers(height - box_height + 1)
            moved.paste(0, (left, top, left + box_width, top + box_height))
        return moved

    def call(images: Tensor, labels: Tensor) -> Answer:
        moved = _on_pillow(change, images)
        noise = draw.standard_normal(moved.shape, dtype=np.float32)
        return moved.add_(torch.from_numpy(noise), alpha=0.05).clamp_(0, 1), None

    return [Contender("Pillow, a loop", "pillow", call, on_gpu=False)]


def _torchvision(pipeline: str, channels: int, classes: int) -> list[Contender]:
    from torchvision.transforms import v2

    if pipeline in ("MixUp", "CutMix"):
        mix = getattr(v2, pipeline)(alpha=ALPHA, num_classes=classes)
        return [Contender("torchvision v2", "torchvision", lambda images, labels: mix(to_float(images), labels))]
    if pipeline == "RandAugment":
        change = v2.Compose([v2.RandAugment(2, 15), v2.ToDtype(torch.float32, scale=True)])
    else:
        change = v2.Compose(
            [
                v2.RandomHorizontalFlip(0.5),
                v2.RandomAffine(15, translate=(0.1, 0.1), interpolation=v2.InterpolationMode.BILINEAR),
                v2.ToDtype(torch.float32, scale=True),
                v2.GaussianNoise(sigma=0.05),
                v2.RandomErasing(p=0.5, scale=(0.05, 0.2), ratio=(1 / math.e, math.e)),
            ]
        )

    def call(images: Tensor, labels: Tensor) -> Answer:
        return torch.stack([change(image) for image in images]), None

    return [Contender("torchvision v2, a loop", "torchvision", call, on_gpu=False)]


def set_threads(count: int) -> None:
    """Of torch, and of OpenCV, which albumentations calculates with."""
    torch.set_num_threads(count)
    with contextlib.suppress(ImportError):
        import cv2

        cv2.setNumThreads(count)
