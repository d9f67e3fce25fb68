"""The shape of the code: budgets that keep every file and function small enough to hold in the head."""

import ast
import itertools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "lightdata").rglob("*.py"))
RULES = sorted(path for path in (ROOT / "lightdata/optimize/rules").glob("*.py") if path.stem != "__init__")
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))

FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "misc", "manager"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def body_lines(function):
    """Count the lines of a function's body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path):
    """No file has more than 400 lines, and no function a body of more than 40."""
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_FILE_LINES
    assert [one.name for one in functions(ast.parse(text)) if body_lines(one) > MAX_FUNCTION_LINES] == []


def test_no_room_without_a_noun():
    """No module is named for holding whatever is left over."""
    assert [path for path in SOURCES if path.stem in FORBIDDEN_NAMES] == []


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_a_rule_file_defines_its_rule_and_has_its_test(path):
    """Each optimizer rule is a function named as its file, with an equation above it and a test file of its name."""
    tree = ast.parse(path.read_text())
    assert path.stem in [one.name for one in functions(tree)]
    assert "->" in (ast.get_docstring(tree) or "")
    assert (ROOT / f"tests/optimize/rules/test_{path.stem}.py").exists()


def test_the_design_page_lists_the_folders():
    """docs/design.md has a line for every folder of the package, and for no other."""
    page = (ROOT / "docs/design.md").read_text()
    listed = {line.split("`")[1].rstrip("/") for line in page.splitlines() if line.startswith("| `")}
    assert listed == {path.parent.name for path in (ROOT / "lightdata").glob("*/__init__.py")}


def test_every_test_says_what_it_pins():
    """Each test has a docstring, and test files have names of their own."""
    bare = [
        f"{path.name}:{one.name}"
        for path in TESTS
        for one in functions(ast.parse(path.read_text()))
        if one.name.startswith("test_") and not ast.get_docstring(one)
    ]
    names = sorted(path.name for path in TESTS)
    assert bare == []
    assert [name for name, group in itertools.groupby(names) if len(list(group)) > 1] == []
