"""Properties of the normal form, on the sources of Python's own library."""

import ast
import importlib
import inspect
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_kepler.identity.normal_form import read_file

MODULES = ("bisect", "contextlib", "csv", "fractions", "heapq", "shlex", "string", "textwrap")
SOURCES = {name: inspect.getsource(importlib.import_module(name)) for name in MODULES}
TEXTS = st.sampled_from(sorted(SOURCES.values()))


def meaning(text: str) -> str:
    """Return all of a table but the places in the file."""
    table = read_file(text)
    assert table is not None
    definitions = [one._replace(first_line=0, last_line=0, span=()) for one in table.definitions]
    return json.dumps([table.digest, definitions, table.assignments, table.imports])


MEANINGS = {text: meaning(text) for text in SOURCES.values()}


def counted_constants(tree: ast.Module) -> list[ast.Constant]:
    """Return the constants of a file, without docstrings, annotations and parts of f-strings."""
    ignored: set[int] = set()
    for node in ast.walk(tree):
        skipped: list[ast.AST] = []
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped = [node.value]
        elif isinstance(node, ast.JoinedStr):
            skipped = [node]
        elif isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            skipped = [node.annotation]
        elif isinstance(node, ast.FunctionDef) and node.returns is not None:
            skipped = [node.returns]
        ignored.update(id(inner) for one in skipped for inner in ast.walk(one))
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [node for node in constants if id(node) not in ignored]


def another(value: object) -> object:
    """Return a value of the same kind that differs in one place."""
    if isinstance(value, bool) or value is None or value is ...:
        return f"not {value}"
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, bytes):
        return value + b"x"
    return value + 1


@given(TEXTS)
@settings(max_examples=len(SOURCES), deadline=None)
def test_writing_a_file_anew_from_its_tree_changes_nothing(text: str) -> None:
    assert meaning(ast.unparse(ast.parse(text))) == MEANINGS[text]


@given(TEXTS, st.data())
@settings(max_examples=25, deadline=None)
def test_comments_and_blank_lines_change_nothing(text: str, data: st.DataObject) -> None:
    lines = text.splitlines()
    # A line may be put before the first line of a statement, and nowhere inside one.
    starts = sorted(
        {node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.stmt)}
    )
    # Decorated definitions start at their decorator.
    starts = [line for line in starts if not lines[line - 2].lstrip().startswith("@")]
    for line in sorted(data.draw(st.sets(st.sampled_from(starts), max_size=20)), reverse=True):
        lines.insert(line - 1, data.draw(st.sampled_from(["", "# a remark", "    # shifted"])))
    assert meaning("\n".join(lines)) == MEANINGS[text]


@given(TEXTS, st.data())
@settings(max_examples=50, deadline=None)
def test_changing_one_constant_changes_the_digest_of_the_file(
    text: str, data: st.DataObject
) -> None:
    tree = ast.parse(text)
    constants = counted_constants(tree)
    constant = constants[data.draw(st.integers(0, len(constants) - 1))]
    constant.value = another(constant.value)
    assert json.loads(meaning(ast.unparse(tree)))[0] != json.loads(MEANINGS[text])[0]


@given(TEXTS, st.data())
@settings(max_examples=50, deadline=None)
def test_changing_one_name_changes_the_digest_of_the_file(text: str, data: st.DataObject) -> None:
    tree = ast.parse(text)
    annotated = {
        id(inner)
        for node in ast.walk(tree)
        for one in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if isinstance(one, ast.AST)
        for inner in ast.walk(one)
    }
    names = [
        node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in annotated
    ]
    name = names[data.draw(st.integers(0, len(names) - 1))]
    name.id += "_"
    assert json.loads(meaning(ast.unparse(tree)))[0] != json.loads(MEANINGS[text])[0]
