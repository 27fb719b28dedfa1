"""dvc.yaml says the truth: stages depend on their imports, and on the sections that they read."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dancestyle import imports, params, stage
from stages import code

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def stages() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every stage of both files; a foreach stage once."""
    for file in ("dvc.yaml", "data/sample/dvc.yaml"):
        content = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))
        for name, one in content["stages"].items():
            yield name, one.get("do", one)


STAGES = dict(stages())
TRAIN_STREAMS = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["train"]["foreach"]
BY_NAME = pytest.mark.parametrize("name", STAGES)


def script_of(name: str) -> Path:
    found = re.search(r"stages\.(\w+)", STAGES[name]["cmd"])
    assert found, f"{name} runs no script of stages/"
    return ROOT / "stages" / f"{found[1]}.py"


def loaded_sections(path: Path) -> set[str]:
    """The sections that a file reads: the arguments of its calls of ``params.load``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "params.load":
            assert isinstance(node.args[0], ast.Constant), f"{path}: name the section literally"
            found.add(node.args[0].value)
    return found


@BY_NAME
def test_a_stage_depends_on_the_note_of_its_script(name: str) -> None:
    """And on no module by itself; the stage that writes the notes looks at all of the code."""
    first, *others = STAGES[name]["deps"]
    if name == "code":
        assert [first, *others] == list(imports.PACKAGES)
        return
    assert first == f"data/code/{script_of(name).stem}.txt"
    assert not [dep for dep in others if str(dep).endswith(".py")]


def test_notes_have_all_that_python_imports() -> None:
    """Asked of Python itself, for the scripts that import it all and for one that imports little."""
    for name in ("evaluate", "tune", "finetune", "split"):
        script = Path(f"stages/{name}.py")
        command = f"import sys, {name_of(script)}; print(*sys.modules)"
        loaded = subprocess.run(
            [sys.executable, "-c", command], capture_output=True, text=True, check=True
        ).stdout.split()
        files = {
            imports.module_file(one) for one in loaded if one.split(".")[0] in imports.PACKAGES
        }
        assert files <= imports.all_imports(script), name


def name_of(script: Path) -> str:
    return ".".join(script.with_suffix("").parts)


def test_every_script_is_a_stage() -> None:
    scripts = set((ROOT / "stages").glob("*.py")) - {ROOT / "stages/__init__.py"}
    assert {script_of(name) for name in STAGES} == scripts


@BY_NAME
def test_a_stage_says_what_it_does(name: str) -> None:
    assert len(STAGES[name]["desc"].split()) >= 8
    assert STAGES[name]["desc"].rstrip().endswith(".")


@BY_NAME
def test_a_stage_depends_on_the_sections_that_it_reads(name: str) -> None:
    named = {str(param).split(".")[0] for param in STAGES[name].get("params", [])}
    if name == "train":  # one of its streams reads a section that the other does not
        named.remove("${item")
        named |= {one["section"] for one in TRAIN_STREAMS.values()}
    assert named == loaded_sections(script_of(name)) - {"machine"}


def test_only_stages_and_commands_read_params() -> None:
    """A library module that read params itself would escape the test above."""
    scripts = [script_of(name) for name in STAGES]
    for path in sorted((ROOT / "dancestyle").rglob("*.py")):
        if loaded_sections(path):
            assert path.stem.endswith("_command"), path
            assert not any(path.relative_to(ROOT) in imports.all_imports(s) for s in scripts), path


def test_a_fine_tuning_run_depends_on_every_key_but_the_other_runs() -> None:
    named = {str(param) for param in STAGES["finetune"]["params"] if "finetune." in str(param)}
    keys = set(params.Finetune.model_fields) - {"runs"}
    assert named == {f"finetune.{key}" for key in keys} | {"finetune.runs.${key}"}


@BY_NAME
def test_metrics_and_plots_are_in_git(name: str) -> None:
    stage = STAGES[name]
    for out in [*stage.get("metrics", []), *stage.get("plots", [])]:
        ((path, settings),) = out.items()
        assert settings["cache"] is False, path
        assert path.startswith(("metrics/", "plots/")), path


@BY_NAME
def test_what_was_run_before_can_be_restored(name: str) -> None:
    """An out with ``cache: false``, unlike a metric or plot, turns DVC's run-cache off."""
    uncached = [out for out in STAGES[name].get("outs", []) if isinstance(out, dict)]
    assert bool(uncached) is (name == "report")


@pytest.mark.parametrize("file", ["params.yaml", "params/paper.yaml"])
def test_every_key_has_a_comment(file: str) -> None:
    """On its own line or, for a group of like keys, on the first of them or on their section."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\w+:", line):
            before = lines[number - 1] if number else ""
            explained = "#" in line or before.startswith("#")
            if not explained:  # a section whose keys all speak for themselves says so key by key
                body = [text for text in lines[number + 1 :]]
                end = next((n for n, text in enumerate(body) if re.match(r"\w", text)), len(body))
                keys = [text for text in body[:end] if re.match(r"  \w+:", text)]
                explained = all("#" in key for key in keys if not key.startswith("  seed:"))
            assert explained, f"{file}:{number + 1}: {line}"


# What follows tests the notes themselves, on a project of five files.


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")

    write("stages/__init__.py", "")
    write("stages/cook.py", "import os\nfrom dancestyle import pot\n")
    write("dancestyle/__init__.py", "")
    write("dancestyle/pot.py", "def boil():\n    from dancestyle.water import wet\n")
    write("dancestyle/water.py", "if TYPE_CHECKING:\n    from dancestyle.steam import Cloud\n")
    write("dancestyle/steam.py", "")
    monkeypatch.chdir(tmp_path)
    imports.direct_imports.cache_clear()
    yield tmp_path
    imports.direct_imports.cache_clear()


NEEDED = ["dancestyle/__init__.py", "dancestyle/pot.py", "dancestyle/water.py",
          "stages/__init__.py", "stages/cook.py"]  # fmt: skip


def note() -> str:
    imports.direct_imports.cache_clear()
    code.main()
    return Path("data/code/cook.txt").read_text(encoding="utf-8")


def test_a_note_has_exactly_the_modules(project: Path) -> None:
    """The import within a function counts, the one for type checks alone does not."""
    assert re.findall(r"^[0-9a-f]{64}  (.+)$", note(), flags=re.MULTILINE) == NEEDED


def test_another_module_changes_the_note(project: Path) -> None:
    before = note()
    for path in NEEDED:
        text = Path(path).read_text()
        Path(path).write_text(text + "\nheat = 1\n")
        changed = [one for one in note().splitlines() if one not in before]
        assert [line.split()[1] for line in changed] == [path]
        Path(path).write_text(text)
    Path("dancestyle/steam.py").write_text("heat = 1\n")
    assert note() == before


def test_another_remark_does_not(project: Path) -> None:
    before = note()
    for path in NEEDED:
        text = Path(path).read_text()
        Path(path).write_text(f'"""What it is for."""\n\n# Why.\n{text}')
    assert note() == before


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("if TYPE_CHECKING:\n    import dancestyle.steam\n", False),
        ("import typing\nif typing.TYPE_CHECKING:\n    import dancestyle.steam\n", False),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    import dancestyle.steam\n", True),
        ("if not TYPE_CHECKING:\n    import dancestyle.steam\n", True),
        ("try:\n    pass\nfinally:\n    import dancestyle.steam\n", True),
    ],
)
def test_imports_for_type_checks_alone(project: Path, text: str, found: bool) -> None:
    Path("dancestyle/pot.py").write_text(text)
    assert ("steam" in note()) is found


def test_a_relative_import_is_a_sentence(project: Path) -> None:
    Path("dancestyle/pot.py").write_text("\nfrom . import water\n")
    imports.direct_imports.cache_clear()
    with pytest.raises(SystemExit, match=r"pot\.py: line 2: a relative import; name the module"):
        stage.run("code", code.main)


def test_a_module_that_is_no_python_is_a_sentence(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("dancestyle/water.py").write_text("def wet(:\n")
    imports.direct_imports.cache_clear()
    with pytest.raises(SystemExit, match=r"code: dancestyle/water\.py: line 1: not Python: "):
        stage.run("code", code.main)
