"""The augmentation benchmark's ruler: pairs in time, and checks that see through an output. No peer is needed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tenfold.core.keys import Key

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def _load(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, name, module)  # a dataclass looks its module up
        specification.loader.exec_module(module)
    return module


TIMING: Any = _load("augment_timing")
CHECKS: Any = _load("augment_checks")
GENERATOR = Key("tests/benchmark").torch_generator()


def _unchanged(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return images.float() / 255, torch.eye(64)[labels]


def _mixing(
    shape: tuple[int, ...], smooth: float = 0.0, labels_say: float = 1.0
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    def mix(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        own = torch.rand(shape, generator=GENERATOR).expand(len(images))
        partner = torch.randperm(len(images), generator=GENERATOR)
        floats = images.float() / 255
        mixed = torch.lerp(floats[partner], floats, own.view(-1, 1, 1, 1))
        rows = torch.lerp(torch.eye(64)[partner], torch.eye(64), own.view(-1, 1) * labels_say)
        return mixed, rows * (1 - smooth) + smooth / 64

    return mix


def test_a_pair_is_compared_within_its_round() -> None:
    # The machine is ten times slower for half of the time: the ratio does not see it.
    slow = np.array([1.0, 10.0] * 10)
    assert TIMING.paired_ratio(0.2 * slow, slow) == pytest.approx((5, 5, 5))
    median, lower, upper = TIMING.paired_ratio(np.ones(5), np.array([1.0, 2, 3, 4, 5]))
    assert (lower, median, upper) == (2, 3, 4)
    with pytest.raises(ValueError, match="pairs"):
        TIMING.paired_ratio(np.ones(3), np.ones(4))


def test_everyone_has_a_turn_in_each_round_and_the_order_changes() -> None:
    turns: list[str] = []
    calls = {name: (lambda name=name: turns.append(name)) for name in "abc"}
    seconds = TIMING.take_turns(calls, rounds=6, seconds_a_turn=0.0)
    assert {name: len(values) for name, values in seconds.items()} == {"a": 6, "b": 6, "c": 6}
    rounds = ["".join(turns[start : start + 3]) for start in range(9, len(turns), 3)]
    assert {"".join(sorted(order)) for order in rounds} == {"abc"}
    assert len(set(rounds)) > 1


def test_images_that_come_back_unchanged_are_reported() -> None:
    assert CHECKS.check_images(_unchanged, 64, (1, 28, 28)).faults == ["every image comes back unchanged"]
    assert CHECKS.check_draws(_unchanged, (1, 28, 28)) == "one draw a batch"
    assert "not the operations that were asked for" in CHECKS.check_classical(_unchanged, (3, 32, 32)).faults


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (lambda images, labels: (images, None), "gives torch.uint8"),
        (lambda images, labels: (images.float() / 255 + torch.inf, None), "not finite"),
        (lambda images, labels: (255 - images.float(), None), "far outside 0..1"),
        (lambda images, labels: (images.bitwise_not_().float() / 255, None), "writes to its input"),
    ],
)
def test_faults_are_named(wrong: Callable[..., Any], fault: str) -> None:
    assert any(fault in result for result in CHECKS.check_images(wrong, 64, (1, 8, 8)).faults)


def test_a_lambda_a_batch_and_smoothed_labels_are_told() -> None:
    assert CHECKS.check_mixing(_mixing((64,)), alpha=1.0).remarks == []
    assert "one lambda a batch" in CHECKS.check_mixing(_mixing((1,)), alpha=None).remarks
    assert "labels smoothed by 0.10" in CHECKS.check_mixing(_mixing((64,), smooth=0.1), alpha=None).remarks
    [law] = CHECKS.check_mixing(_mixing((64,)), alpha=0.3).remarks
    assert law.startswith("lambda is not Beta(0.3)")


def test_labels_that_differ_from_the_pixels_are_a_fault() -> None:
    assert CHECKS.check_mixing(_mixing((64,), labels_say=0.5), alpha=None).faults == [
        "labels differ from the shares of the pixels"
    ]
    mixed = CHECKS.check_mixing(lambda images, labels: (_mixing((64,))(images, labels)[0], torch.ones(64, 64)), None)
    assert "labels do not sum to 1" in mixed.faults


def test_pairs_of_labels_are_read_as_the_pixels_say() -> None:
    def pairs(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        share = torch.rand(len(images), generator=GENERATOR)
        partner = labels.roll(1)
        floats = images.float() / 255
        mixed = torch.lerp(floats, floats[partner], share.view(-1, 1, 1, 1))
        return mixed, torch.stack([labels.float(), partner.float(), share], 1)

    findings = CHECKS.check_mixing(pairs, alpha=1.0)
    assert findings.faults == []
    assert "no soft labels but (label, label, lambda), lambda the partner's share" in findings.remarks
    assert "the same partners in every batch" in findings.remarks
