from __future__ import annotations

import io
import tarfile

import pytest

from tenfold.data.tar_shards import shard_name, tar_parts


def test_other_programs_read_what_was_written() -> None:
    samples = [
        ("a-1", {"png": b"x" * 700, "json": b"{}"}),
        ("b", {"cls": b"", "txt": b"y" * 512}),
        ("\u732b", {"cls": b"3"}),
    ]
    content = b"".join(tar_parts(samples))
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = [(entry.name, archive.extractfile(entry).read()) for entry in archive]  # type: ignore[union-attr]
        entry = archive.getmembers()[0]
    assert members == [(f"{key}.{kind}", content) for key, of in samples for kind, content in of.items()]
    assert (entry.mtime, entry.uid, entry.gid, entry.uname, entry.mode) == (0, 0, 0, "", 0o644)
    python = tarfile.TarInfo("a-1.png")
    python.size, python.mode = 700, 0o644
    assert content[:512] == python.tobuf(tarfile.USTAR_FORMAT)


def test_a_name_that_does_not_fit_is_no_other_name() -> None:
    with pytest.raises(ValueError, match="room for 100"):
        list(tar_parts([("x" * 99, {"png": b""})]))
    assert shard_name(17, 1000) == "shard-00017-of-01000.tar"
