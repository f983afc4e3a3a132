"""Two processes that share a training, beside one that does it alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up_ranks import CPU, KINDS, STEPS, STOPPED, losses_of

from tenfold.core.errors import InputError
from tenfold.training.device import Device
from tenfold.training.distributed import Ranks, own_device, together

every_kind = pytest.mark.parametrize("kind", KINDS)
Losses = list[dict[str, float]]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With checkpoints of one process."""
    made: Path = tmp_path_factory.mktemp("ranks")
    for kind in KINDS:
        assert len(losses_of(kind, made / f"{kind}-one", STOPPED)) == STOPPED
    return made


@pytest.fixture(scope="module")
def two(directory: Path) -> list[dict[str, Any]]:
    """What each of two processes found."""
    script = Path(__file__).with_name("made_up_ranks.py")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    paths = os.pathsep.join([str(script.parent.parent), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    subprocess.run([*launch, str(script), str(directory)], check=True, env=environment, timeout=300)
    return [json.loads((directory / f"rank-{rank}.json").read_text("utf-8")) for rank in range(2)]


def assert_close(found: Losses, expected: Losses) -> None:
    assert len(found) == len(expected)
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one == pytest.approx(other, abs=1e-5), f"step {number}"


@every_kind
def test_two_processes_lose_what_one_loses_on_the_whole_batch(kind: str, two: list[dict[str, Any]]) -> None:
    assert two[0]["count"] == 2
    assert_close(two[0][kind]["whole"], losses_of(kind))


@every_kind
def test_a_training_of_one_process_goes_on_in_two(kind: str, two: list[dict[str, Any]]) -> None:
    resumed = two[0][kind]["resumed"]
    assert 0 < len(resumed) < STEPS
    assert_close(resumed, losses_of(kind)[-len(resumed) :])


@every_kind
def test_a_training_of_two_processes_goes_on_in_one(kind: str, two: list[dict[str, Any]], directory: Path) -> None:
    assert_close(two[0][kind]["begun"], losses_of(kind)[:STOPPED])
    resumed = losses_of(kind, directory / f"{kind}-two")
    assert 0 < len(resumed) < STEPS
    assert_close(resumed, losses_of(kind)[-len(resumed) :])


def test_the_first_process_alone_tells_and_decides(two: list[Mapping[str, Any]]) -> None:
    assert not any(two[1][kind]["whole"] for kind in KINDS), "another rank has no callbacks"
    assert [one["agreed"]["0"] for one in two] == [[1, 0], [1, 0]], "its trouble is everyone's"
    assert [one["agreed"]["1"] for one in two] == [[0, 0], [0, 0]], "another one's is not"


def test_a_share_is_every_other_row_and_all_of_them_are_shared() -> None:
    rows = torch.arange(12, device="cpu").view(2, 6)
    assert Ranks(1, 3).share(rows, dim=1).tolist() == [[1, 4], [7, 10]]
    assert Ranks(1, 2).share(rows).tolist() == [list(range(6, 12))]
    assert Ranks().share(rows) is rows
    with pytest.raises(InputError, match="a batch of 6 cannot be shared evenly by 4 processes"):
        Ranks(0, 4).share(rows, dim=1)


def test_without_torchrun_a_process_is_alone() -> None:
    with together(CPU) as ranks:
        assert ranks == Ranks()
    assert own_device(Device("cuda:1")).name == "cuda:1"


def test_each_process_of_a_machine_has_a_card_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    for name, value in {"TORCHELASTIC_RUN_ID": "one", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert own_device(Device("cuda:0")).name == "cuda:1"
    assert own_device(CPU) == CPU
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(InputError, match="torch finds 2 CUDA devices"):
        own_device(Device("cuda:0"))
