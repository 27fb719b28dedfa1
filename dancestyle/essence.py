"""What of a Python file can change a result: all but comments, docstrings and empty lines.

What a result was made with is known by a digest of the code. A remark that is reworded must not cost
a training.
"""

from __future__ import annotations

import ast
import hashlib
import io
import re
import tokenize
from pathlib import Path

_SILENT = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    | {tokenize.ENDMARKER}
)
_READS_REMARKS = re.compile(r"__doc__|getdoc|getsource|use_attribute_docstrings")
"""What a source names that reads docstrings when it runs: its own then count."""


class CodeError(ValueError):
    """A file that is no Python; the message names it and the line."""


def tree(path: Path) -> ast.Module:
    """A file, parsed.

    Raises:
        CodeError: it is no Python.
    """
    try:
        return ast.parse(_text(path))
    except (SyntaxError, ValueError) as error:
        raise _not_python(str(path), error) from None


def digest(path: Path) -> str:
    """Hexadecimal SHA-256 of the essence of a file.

    Raises:
        CodeError: it is no Python.
    """
    return hashlib.sha256(of(_text(path), str(path)).encode()).hexdigest()


def of(source: str, name: str = "<source>") -> str:
    """The lines of a source that say something, without what they say to readers alone.

    Only places are taken from Python's own tools, so all versions of Python find the same. Strings
    that stand alone go too, since attributes are explained by such; but where the source reads
    docstrings itself (:data:`_READS_REMARKS`), they stay.

    >>> of('# Why.\\nx = 1  # how many\\n\\n\\"\\"\\"Of things.\\"\\"\\"\\ny = "# no remark"\\n')
    'x = 1\\ny = "# no remark"\\n'

    Raises:
        CodeError: it is no Python; ``name`` says what is not.
    """
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    lines = io.StringIO(source).readlines()
    try:
        remarks = {} if _READS_REMARKS.search(source) else _remarks(ast.parse(source), lines)
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, tokenize.TokenError, ValueError) as error:
        raise _not_python(name, error) from None
    comments: dict[int, int] = {}  # line -> where its comment begins
    told: set[int] = set()
    within: tuple[int, int] = (0, 0)  # the end of the remark that was met last
    for token in tokens:
        if token.type == tokenize.COMMENT:
            comments[token.start[0]] = token.start[1]
        elif token.type not in _SILENT and token.start >= within:
            within = remarks.get(token.start, within)
            if token.start not in remarks:
                told.update(range(token.start[0], token.end[0] + 1))
    return "".join(
        f"{lines[number - 1][: comments[number]].rstrip()}\n"
        if number in comments
        else lines[number - 1]
        for number in sorted(told)
        if number <= len(lines)
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_python(str(path), error) from None


def _not_python(name: str, error: Exception) -> CodeError:
    line = getattr(error, "lineno", None) or "?"
    return CodeError(f"{name}: line {line}: not Python: {getattr(error, 'msg', error)}")


def _remarks(tree: ast.Module, lines: list[str]) -> dict[tuple[int, int], tuple[int, int]]:
    """Where strings that are statements begin, as (line, column), and where they end."""

    def column(line: int, offset: int) -> int:
        return len(lines[line - 1].encode()[:offset].decode())  # Python counts the bytes

    return {
        (node.lineno, column(node.lineno, node.col_offset)): (
            node.end_lineno or node.lineno,
            column(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset),
        )
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }
