"""All of params.yaml is checked before the first stage: every mistake at once, each with its key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from dancestyle import params

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["params.yaml", "params/paper.yaml"])
def test_ours_are_right(name: str) -> None:
    assert params.check(ROOT / name) == []


def test_all_mistakes_are_found_at_once(tmp_path: Path) -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["train"]["epocs"] = 3
    content["flow"]["method"] = "magic"
    del content["report"]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    found = params.check(path)
    assert [line.removeprefix(f"{path}: ").split(":")[0] for line in found] == [
        "flow.method", "train.epocs", "section 'report' is missing",
    ]  # fmt: skip


def test_an_unknown_section_is_found(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text() + "\ntrian: {}\n", encoding="utf-8")
    assert params.check(path) == [f"{path}: trian: unknown section"]


@pytest.mark.parametrize("text", ["a: [", "- 1\n"])
def test_what_is_no_params_file_is_said_once(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    found = params.check(path)
    assert found and len(found) == len(set(found))
    assert "not valid YAML" in found[0] or "is missing" in found[0]


@pytest.mark.parametrize("name", ["params.yaml", "params/paper.yaml"])
def test_every_section_and_key_has_a_comment(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if re.match(r" {0,2}[a-z]\w*:", line) and "#" not in line]
