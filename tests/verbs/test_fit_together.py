"""`torchrun -m tenfold fit`: what two processes leave is what one leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tenfold
from tenfold.methods import load_generator

TRAINING = {"steps": 12, "batch_size": 8, "watch_every": 6}
COMMAND = ["fit", f"cgan({','.join(f'{name}={value}' for name, value in TRAINING.items())})", "digits"]


def metrics(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text("utf-8").splitlines()]


def test_two_processes_fit_one_generator_and_one_of_them_tells(tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tenfold"]
    command = [*launch, *COMMAND, "two", "--device", "cpu"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("learned from") == 1
    alone = tenfold.fit(COMMAND[1], "digits", tmp_path / "one", device="cpu")
    for found, expected in zip(metrics(tmp_path / "two"), metrics(alone.directory), strict=True):
        assert found == pytest.approx(expected, abs=1e-4), "as they are rounded"
    assert load_generator(tmp_path / "two").generator.class_counts == (20,) * 10
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}, "no process has left a crash"
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert again.stdout.count("finished before") == 1
