"""Small is a law of the house: lines of the package, lines of a file, positional parameters, nothing dead."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "sopkit"

# code lines of the package: neither blank nor comment. Raised for what came in: the decision loop and the month after,
# promises in passes, shelf life by age, demand by price and event, files as they come, signatures and the crate,
# notation and explanations, the workbench, the limits of real plants, sentences that translate, by-products, families
# and carry-over of set-ups, shifts and sites that close, networks over all series; to be lowered with every landing
# that makes it smaller
MOST = 29_500
MOST_IN_A_FILE = 400
# longer files, with the reason
LONG = {
    "cycle/cycle.py": "one cycle and everything that it can be asked",
    "supply/model.py": "the whole model on one stretch, as visitors read it",
    "supply/network.py": "the groups of the network, each made from those above it",
    "tables/inputs.py": "declarations: every input table once",
    "tables/plans.py": "declarations: every plan table once",
}
MOST_POSITIONAL = 5


def code_lines(path: Path) -> int:
    """Lines that are neither blank nor only a comment; a docstring counts."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return sum(1 for line in lines if line and not line.startswith("#"))


LINES = {path.relative_to(PACKAGE).as_posix(): code_lines(path) for path in sorted(PACKAGE.rglob("*.py"))}


def test_the_package_stays_small() -> None:
    rooms: dict[str, int] = {}
    for name, lines in LINES.items():
        home = name.partition("/")[0]
        rooms[home] = rooms.get(home, 0) + lines
    assert sum(LINES.values()) <= MOST, f"{sum(LINES.values()):,} code lines: {rooms}"


def test_files_stay_readable_at_one_sitting() -> None:
    assert {name: lines for name, lines in LINES.items() if lines > MOST_IN_A_FILE and name not in LONG} == {}


def wide(text: str) -> list[str]:
    """Functions of a source text with more positional parameters than a caller can keep apart."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            names = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
            if len([name for name in names if name not in ("self", "cls")]) > MOST_POSITIONAL:
                found.append(getattr(node, "name", "lambda"))
    return found


def test_no_function_takes_more_than_five_positional_parameters() -> None:
    assert wide("class A:\n def f(self, a, b, c, d, e, /, *, f): ...\n def g(self, a, b, c, d, e, f): ...") == ["g"]
    found = {f"{name} {one}" for name in LINES for one in wide((PACKAGE / name).read_text(encoding="utf-8"))}
    assert found == set()


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """The code of the notebooks as one file: what they call is alive."""
    import nbformat

    notebooks = [nbformat.read(path, as_version=4) for path in sorted((PROJECT / "notebooks").rglob("*.ipynb"))]
    code = [cell.source for notebook in notebooks for cell in notebook.cells if cell.cell_type == "code"]
    path = tmp_path / "notebooks.py"
    path.write_text("\n".join(code), encoding="utf-8")
    return path


def test_nothing_is_dead(cells: Path) -> None:
    """Vulture finds no name that package, notebooks and tests leave unused (its settings: pyproject.toml)."""
    command = [sys.executable, "-m", "vulture", "sopkit", "tests", str(cells)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode in (0, 3), done.stderr
    found = [line for line in done.stdout.splitlines() if line.startswith("sopkit")]
    assert not found, "\n".join(found)
