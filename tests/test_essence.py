"""What of a source counts as code: remarks may change, nothing else."""

from __future__ import annotations

import ast
import hashlib
import io
import re
import tokenize
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dancestyle import essence

ROOT = Path(__file__).parents[1]
SOURCE = '''"""What this module is for."""

import os  # of the system

LEAST = 3
"""Of anything."""


class Box:
    """Holds things.

    Many of them.
    """

    size: int = 0  # empty
    name = "a # in a name"

    def full(self) -> bool:
        """Whether it is."""
        return self.size > LEAST


def text() -> str:
    # Lines of a string, empty ones too.
    return """
one

  # two
"""
'''
PLAIN = '''import os
LEAST = 3
class Box:
    size: int = 0
    name = "a # in a name"
    def full(self) -> bool:
        return self.size > LEAST
def text() -> str:
    return """
one

  # two
"""
'''


def test_remarks_and_empty_lines_are_left_out() -> None:
    assert essence.of(SOURCE) == PLAIN
    assert essence.of(PLAIN) == PLAIN
    assert essence.of(SOURCE.replace("\n", "\r\n")) == PLAIN


@given(data=st.data())
def test_another_remark_changes_nothing(data: st.DataObject) -> None:
    """Comments and empty lines anywhere, at any column, where a line of code ends."""
    ends = [n for n, line in enumerate(PLAIN.split("\n")) if n < 8]
    lines = PLAIN.split("\n")
    words = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=8)
    for number in data.draw(st.lists(st.sampled_from(ends), unique=True)):
        lines[number] += "  # " + data.draw(words)
        lines[number] += "\n" * data.draw(st.integers(0, 2))
    assert essence.of("\n".join(lines)) == PLAIN


@given(words=st.text(st.characters(exclude_characters='"\\', exclude_categories=["C"])))
def test_another_docstring_changes_nothing(words: str) -> None:
    source = f'def f():\n    """{words}"""; return 1\n'
    shared = essence.of(source)
    assert shared.endswith("return 1\n")
    alone = essence.of(f'"""{words}"""\ndef f():\n    """{words}"""\n    return 1\n')
    assert alone == "def f():\n    return 1\n"


@given(data=st.data())
def test_another_token_changes_it(data: st.DataObject) -> None:
    """Of a real module: any name, number, operator or string that is no remark."""
    source = (ROOT / "dancestyle/clipmap.py").read_text(encoding="utf-8")
    lines = source.splitlines(keepends=True)
    remarks = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
    wanted = (tokenize.NAME, tokenize.NUMBER, tokenize.OP, tokenize.STRING)
    tokens = [
        token
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type in wanted
        and not any(
            node.lineno <= token.start[0] <= (node.end_lineno or node.lineno) for node in remarks
        )
    ]
    token = data.draw(st.sampled_from(tokens))
    (row, start), (_, end) = token.start, token.end
    line = lines[row - 1]
    lines[row - 1] = line[:start] + line[end:] + "\n" * (token.start[0] != token.end[0])
    try:
        changed = essence.of("".join(lines))
    except essence.CodeError:
        return  # no longer Python
    assert changed != essence.of(source)


@pytest.mark.parametrize(
    "source",
    [
        'if x:\n    pass\nelse: "alone"\ny = 1\n',
        '"one"; f("""\n  two\n""")\n',
        'x = ["a",\n     "b"]\n',
        'y = f"""{x}\n\n# no remark\n"""\n',
    ],
)
def test_code_beside_a_string_stays(source: str) -> None:
    assert essence.of(source) == source


@pytest.mark.parametrize(
    "line", ["print(__doc__)", "inspect.getdoc(f)", "Config(use_attribute_docstrings=True)"]
)
def test_docstrings_that_the_code_reads_stay(line: str) -> None:
    source = f'"""Told to whoever asks."""\n{line}\n'
    assert essence.of(source) == source


def test_nobody_reads_the_docstrings_of_others() -> None:
    """They would be missed; commands show their own."""
    own = re.compile(r"description=__doc__(\.split\(.*?\)\[0\])?")
    for folder in ("dancestyle", "stages"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.name != "essence.py":
                rest = own.sub("", path.read_text(encoding="utf-8"))
                assert not re.search("__doc__|getdoc|getsource|attribute_docstrings", rest), path


def test_letters_of_several_bytes_do_not_move_the_places() -> None:
    assert (
        essence.of('"""é – ü"""\nx = "é"  # ü\n"""é"""; y = "ü"\n') == 'x = "é"\n"""é"""; y = "ü"\n'
    )


@pytest.mark.parametrize("text", ["def f(:\n", "x = (\n", "x = '\n", "  x\n y\n", "\0"])
def test_what_is_no_python_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    for ask in (essence.digest, essence.tree):
        with pytest.raises(essence.CodeError, match=r"broken\.py: line .*: not Python: "):
            ask(path)


def test_other_encodings(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_bytes("\ufeffx = 'é'\n".encode())
    assert essence.digest(path) == hashlib.sha256("x = 'é'\n".encode()).hexdigest()
    path.write_bytes("x = 'é'\n".encode("latin-1"))
    for ask in (essence.digest, essence.tree):
        with pytest.raises(essence.CodeError, match=r"module\.py: .*not Python"):
            ask(path)


def test_every_module_of_the_project_means_the_same_without_its_remarks() -> None:
    """What is left, parsed, is what was there, but for strings that stand alone."""
    compared = 0
    for path in sorted((ROOT / "dancestyle").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "__doc__" in source:
            continue
        full = ast.parse(source)
        for node in ast.walk(full):
            if isinstance(getattr(node, "body", None), list):
                node.body = [inner for inner in node.body if not _string_alone(inner)]
        try:
            bare = ast.parse(essence.of(source))
        except SyntaxError:
            continue  # a body of a docstring alone
        compared += 1
        assert ast.dump(bare) == ast.dump(full), path
    assert compared > 50


def _string_alone(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
