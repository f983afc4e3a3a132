"""JSON that nobody would write, in every file that holds some: row 87 of the list of bad inputs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from made_up_sets import QUICK_CGAN

DEEP, HALF = b"[" * 100_000, b'"\\ud800"'


@pytest.fixture
def folder(class_folders: Callable[..., Path]) -> Path:
    return class_folders({"a": 12, "b": 12})


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b'{"options": ' * 50_000, b'{"options": {"arms": "\\ud800"}}', b'{"options": {"seed": 1e999}}',
     b'{"options": {"seed": ' + b"9" * 5000 + b"}}", b'{"options": {"seed": [[1]]}}', b"\xff\xfe{", b"null"],
)  # fmt: skip
def test_row_87_json_that_nobody_would_write_is_an_error(content: bytes, tmp_path: Path, tenfold: Any) -> None:
    (tmp_path / "config.json").write_bytes(content)
    assert tenfold("prove", "digits", "--config", "config.json")[0] == 2
    for name in ("classifier", "generator"):
        (tmp_path / f"{name}.json").write_bytes(content)
        (tmp_path / f"{name}.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    assert tenfold("predict", "classifier.safetensors", "x.png")[0] == 2
    assert tenfold("sample", "generator.safetensors", "out")[0] == 2


@pytest.mark.parametrize("name", ["metadata.jsonl", "labels.json", "set.csv", "metadata.csv"])
@pytest.mark.parametrize(
    "content",
    [b'{"file_name": "a/000.png", "label": "\\ud800"}\n{"file_name": "b/000.png", "label": "b"}', DEEP,
     b"\xed\xa0\x80", b'{"file_name": ' + DEEP, b'{"file_name": "a/000.png", "label": ' + DEEP,
     b'{"images": ' + DEEP, b'{"label": NaN}'],
)  # fmt: skip
def test_row_87_a_table_or_label_file_that_nobody_would_write_is_an_error(
    name: str, content: bytes, folder: Path, tenfold: Any
) -> None:
    (folder / name).write_bytes(content)
    for words in (("check", "set"), ("check", f"set/{name}"), ("predict", f"set/{name}", "set")):
        status, _, err = tenfold(*words)
        assert status in (0, 2), err
        assert "Traceback" not in err
    if name == "metadata.jsonl":
        assert tenfold("check", "set")[0] == 2


@pytest.mark.parametrize(
    "header",
    [DEEP, b'{"a": ' * 20_000, b'{"__metadata__": {"x": ' + HALF + b"}}", b'{"\\ud800": 1}', b"\xff", b"null", b""],
)
def test_row_87_a_header_of_weights_that_nobody_would_write_is_an_error(
    header: bytes, folder: Path, tenfold: Any, tmp_path: Path
) -> None:
    assert tenfold("fit", QUICK_CGAN, "set", "kept")[0] == 0
    (tmp_path / "alone").mkdir()
    shutil.copy(tmp_path / "kept/generator.json", tmp_path / "alone")
    for length in (len(header), 2**40, 2**64 - 1):
        (tmp_path / "alone/generator.safetensors").write_bytes(length.to_bytes(8, "little") + header)
        status, _, err = tenfold("sample", "alone", "set", "out")
        assert (status, "generator.safetensors" in err) == (2, True), err
