from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tenfold.core.files import read_json
from tenfold.data.load import load
from tenfold.verbs.check import check


def test_check_reads_audits_and_writes(class_folders: Callable[..., Path], tmp_path: Path) -> None:
    root = class_folders({"a": 3, "b": 2})
    shutil.copy(root / "a/000.png", root / "a/copy.png")
    (root / "b/empty.png").write_bytes(b"")
    findings = check(root, out=tmp_path / "out")
    assert findings.counts == {"a": 4, "b": 2}
    assert findings.exact_within == (("a/000.png", "a/copy.png"),)
    written = read_json(tmp_path / "out/check.json")
    assert written["set_aside"] == [{"source": "b/empty.png", "reason": "empty file (0 bytes)"}]
    assert written["actions"] == list(findings.actions)


def test_check_takes_a_loaded_set() -> None:
    assert check(load("digits", per_class=3)).counts == check("digits", per_class=3).counts
