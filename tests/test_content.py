"""Lists of what clips hold: read as written, as `sha256sum` reads them, refused where they lack one."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dancestyle import content

DIGEST = hashlib.sha256(b"x").hexdigest()
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), min_size=1)


@given(names=st.sets(NAMES))
def test_read_as_written(names: set[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("lists") / "all.sha256"
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    content.write(path, digests)
    assert content.read(path) == digests
    assert list(content.read(path)) == sorted(names)


def test_some_of_many(tmp_path: Path) -> None:
    content.write(tmp_path / "some.sha256", {"a": DIGEST, "b": DIGEST, "c": DIGEST}, ["c", "a"])
    assert list(content.read(tmp_path / "some.sha256")) == ["a", "c"]


def test_a_clip_of_which_nothing_is_known(tmp_path: Path) -> None:
    with pytest.raises(content.ContentError, match="content of b and 1 more; run the stage"):
        content.write(tmp_path / "some.sha256", {"a": DIGEST}, ["a", "b", "c"])
    assert not (tmp_path / "some.sha256").exists()


@pytest.mark.parametrize("line", ["", "abc  a", f"{DIGEST} a", f"{DIGEST}  "])
def test_a_line_of_another_format_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "bad.sha256"
    path.write_text(f"{DIGEST}  a\n{line}\n")
    with pytest.raises(content.ContentError, match=r"bad\.sha256: line 2: must be a SHA-256"):
        content.read(path)


@pytest.mark.parametrize("name", ["a\nb", "a\r"])
def test_a_name_of_several_lines_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(content.ContentError, match="has a line end in its name"):
        content.write(tmp_path / "all.sha256", {name: DIGEST})


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(content.ContentError, match="not found; run the stage"):
        content.read(tmp_path / "none.sha256")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum")
def test_sha256sum_reads_it(tmp_path: Path) -> None:
    (tmp_path / "clip a.mp4").write_bytes(b"x")
    content.write(tmp_path / "all.sha256", {"clip a.mp4": DIGEST})
    command = ["sha256sum", "--check", "--strict", "all.sha256"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
    (tmp_path / "clip a.mp4").write_bytes(b"y")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 1
