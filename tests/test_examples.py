"""The examples run, and what they say about a loop of one's own is so."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def own_loop() -> ModuleType:
    specification = importlib.util.spec_from_file_location("own_loop", EXAMPLES / "own_loop.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_every_example_is_python_and_is_run_as_a_script(path: Path) -> None:
    # first_study.py takes minutes on one core; what it calls has tests of its own.
    source = path.read_text("utf-8")
    compile(source, str(path), "exec")
    assert 'if __name__ == "__main__":' in source, "worker processes import the file again"


def test_own_loop_learns_both_ways(own_loop: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    own_loop.main()
    accuracies = [float(value) for value in re.findall(r"accuracy ([\d.]+)%", capsys.readouterr().out)]
    assert len(accuracies) == 2
    assert min(accuracies) > 85


def test_workers_and_epochs_draw_differently(own_loop: ModuleType) -> None:
    image = torch.arange(64, dtype=torch.uint8).view(1, 8, 8) * 3
    copies = TensorDataset(image.expand(16, -1, -1, -1), torch.zeros(16, dtype=torch.long))
    # Without persistent workers each epoch starts new processes, which are copies of this one.
    batches = DataLoader(copies, batch_size=8, num_workers=2, collate_fn=own_loop.change_and_mix)
    made = [images for _ in range(2) for images, _ in batches]
    assert len(made) == 4
    for index, images in enumerate(made):
        assert all(not torch.equal(images, other) for other in made[:index])


def test_own_loop_imports_nothing_else_of_tenfold() -> None:
    tree = ast.parse((EXAMPLES / "own_loop.py").read_text("utf-8"))
    named = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    named |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert {name for name in named if name and name.startswith("tenfold")} == {"tenfold.transforms"}


def test_the_transforms_need_torch_and_numpy_alone() -> None:
    program = "import sys, tenfold.augment; print(' '.join(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = set(ran.stdout.split())
    assert not {"scipy", "sklearn", "pydantic", "PIL", "typer", "matplotlib"} & loaded
    parts = {name.split(".")[1] for name in loaded if name.startswith("tenfold.")}
    assert parts == {"augment", "core"}
