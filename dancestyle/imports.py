"""Which project modules a stage script imports, directly or not, and whether dvc.yaml knows them.

DVC does not see Python imports: a module that is missing from a stage's ``deps`` is a silently stale
result, a superfluous one a needless run. ``python -m dancestyle.imports`` says where dvc.yaml and the
imports disagree, ``--write`` makes dvc.yaml agree.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ruamel.yaml import YAML

PACKAGES = ("dancestyle", "stages")
DVC_FILES = (Path("dvc.yaml"), Path("data/sample/dvc.yaml"))
_COMMAND = re.compile(r"python -m (stages\.\w+)")


def module_file(name: str) -> Path | None:
    """The file of a dotted name, or None where the name is no module of the project."""
    path = Path(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not _type_checking(child):
            yield child
            yield from _walk(child)


@cache
def direct_imports(path: Path) -> frozenset[Path]:
    """Files of the project modules that a file imports, wherever in it, packages included."""
    found: set[Path] = set()
    for node in _walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.split(".")[0] in PACKAGES:
                parts = name.split(".")
                for end in range(1, len(parts) + 1):
                    file = module_file(".".join(parts[:end]))
                    if file is not None:
                        found.add(file)
    return frozenset(found)


def all_imports(script: Path) -> set[Path]:
    """The script itself, its package and all project modules that it imports, directly or not."""
    found: set[Path] = set()
    waiting = [script, script.parent / "__init__.py"]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(direct_imports(path))
    return found


def disagreements(dvc_file: Path, write: bool = False) -> list[str]:
    """Sentences on stages whose ``deps`` are not their imports; with ``write`` they are put right."""
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 1000
    content = yaml.load(dvc_file.read_text(encoding="utf-8"))
    problems: list[str] = []
    for name, stage in content["stages"].items():
        stage = stage.get("do", stage)
        command = _COMMAND.search(stage["cmd"])
        if command is None:
            continue
        script = module_file(command[1])
        if script is None:
            problems.append(f"{dvc_file}: {name}: {command[1]} does not exist")
            continue
        wanted = {path.as_posix() for path in all_imports(script)}
        others = [dep for dep in stage["deps"] if not str(dep).endswith(".py")]
        have = {str(dep) for dep in stage["deps"]} - set(others)
        for verb, paths in (("lacks", wanted - have), ("needlessly has", have - wanted)):
            problems += [f"{dvc_file}: {name}: {verb} {path}" for path in sorted(paths)]
        if wanted != have:
            stage["deps"] = sorted(wanted) + others
    if write and problems:
        with dvc_file.open("w", encoding="utf-8") as file:
            yaml.dump(content, file)
    return problems


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="make dvc.yaml agree")
    write = parser.parse_args().write
    problems = [line for file in DVC_FILES for line in disagreements(file, write)]
    print("\n".join(problems) or "dvc.yaml and the imports agree")
    return int(bool(problems) and not write)


if __name__ == "__main__":
    sys.exit(main())
