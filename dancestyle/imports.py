"""Which project modules a stage script imports, directly or not, and what is in them.

DVC does not see Python imports: a module that a stage does not depend on is a silently stale result,
one too many a needless run. So every stage depends on a list of its modules, which ``code`` writes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from dancestyle import essence

PACKAGES = ("dancestyle", "stages")
_FOR_TYPES = ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def module_file(name: str) -> Path | None:
    """The file of a dotted name, or None where the name is no module of the project."""
    path = Path(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """All below a node, but for what is only there for type checks."""
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test) in _FOR_TYPES:
        children = node.orelse
    for child in children:
        yield child
        yield from _walk(child)


@cache
def direct_imports(path: Path) -> frozenset[Path]:
    """Files of the project modules that a file imports, wherever in it, packages included.

    Raises:
        CodeError: it is no Python, or an import is a relative one.
    """
    found: set[Path] = set()
    for node in _walk(essence.tree(path)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level or not node.module:
                raise essence.CodeError(
                    f"{path}: line {node.lineno}: a relative import; name the module in full"
                )
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


def listings(scripts: Iterable[Path]) -> dict[Path, str]:
    """For each script a line a module of it: a digest of what it says (:mod:`essence`), its path.

    Raises:
        CodeError: one of them is no Python.
    """
    modules = {script: sorted(all_imports(script)) for script in scripts}
    digests = {path: essence.digest(path) for path in set().union(*modules.values())}
    return {
        script: "".join(f"{digests[path]}  {path.as_posix()}\n" for path in paths)
        for script, paths in modules.items()
    }
