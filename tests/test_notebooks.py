"""The notebooks are meeting papers: short, without programs and outputs, and each runs on its own."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from sopkit.cycle import Cycle, notebook_parameters
from sopkit.cycle.execute import SAVED
from sopkit.tables import STAGES

PROJECT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
MOST_LINES = 70
PROGRAM = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.For,
    ast.While,
    ast.If,
    ast.Try,
    ast.With,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_of(path: Path) -> list:
    """A notebook's code cells."""
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_there_is_one_notebook_a_stage() -> None:
    assert [path.name for path in NOTEBOOKS] == [stage.notebook for stage in STAGES]


@each
def test_it_is_a_valid_notebook_with_a_title_and_one_question(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    stage = next(stage for stage in STAGES if stage.notebook == path.name)
    first = notebook.cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ") and stage.question in first.source
    assert len({cell["id"] for cell in notebook.cells}) == len(notebook.cells)


@each
def test_its_second_cell_holds_typed_parameters_company_and_cycle_first(path: Path) -> None:
    cell = nbformat.read(path, as_version=4).cells[1]
    assert cell.metadata.get("tags") == ["parameters"]
    assert list(notebook_parameters(path))[:2] == ["company", "cycle"]
    for line, node in zip(cell.source.splitlines(), ast.parse(cell.source).body, strict=True):
        assert isinstance(node, ast.AnnAssign) and "  # " in line


@each
def test_it_defines_nothing_and_loops_over_nothing(path: Path) -> None:
    for cell in code_of(path):
        found = [type(node).__name__ for node in ast.walk(ast.parse(cell.source)) if isinstance(node, PROGRAM)]
        assert not found, cell.source


@each
def test_it_is_short(path: Path) -> None:
    lines = [line for cell in code_of(path) for line in cell.source.splitlines() if line.strip()]
    assert len(lines) <= MOST_LINES


@each
def test_it_is_stored_without_outputs_but_for_tagged_key_numbers(path: Path) -> None:
    for cell in code_of(path):
        kept = "keep_output" in cell.metadata.get("tags", [])
        assert kept == ("nbval-check-output" in cell.metadata.get("tags", []))
        assert kept == bool(cell.outputs), cell.source
    assert "widgets" not in nbformat.read(path, as_version=4).metadata


@each
def test_the_cell_after_which_it_only_shows_is_tagged(path: Path) -> None:
    """The next stage begins there. Publish has none after it."""
    writes = [re.search(r"\bc\.(save|write)|publish\(c", cell.source) is not None for cell in code_of(path)]
    tagged = [SAVED in cell.metadata.get("tags", []) for cell in code_of(path)]
    last = len(writes) - 1 - writes[::-1].index(True)
    assert tagged == [place == last and path != NOTEBOOKS[-1] for place in range(len(writes))]


@each
def test_it_opens_its_own_stage(path: Path) -> None:
    stage = path.stem.split("_", 1)[1]
    source = "\n".join(cell.source for cell in code_of(path))
    assert f'Cycle.open(company, cycle, stage="{stage}")' in source


def test_nbval_runs_each_of_them_and_holds_the_key_numbers(own_run: Path, request: pytest.FixtureRequest) -> None:
    """By glob (with `--room` its own), in the order of the stages, in a copy of a run; tagged outputs are compared."""
    room = request.config.getoption("--room") or ""
    notebooks = [str(path) for path in NOTEBOOKS if path.stem.endswith(room)]
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider", "-q", *notebooks]
    done = subprocess.run(
        command, cwd=PROJECT, env=os.environ | {"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert Cycle.open("demo", "2026-11").stale() == {}


@pytest.mark.parametrize("name", ["start", "ask"])
def test_the_notebooks_beside_the_stages_are_true(name: str, own_run: Path) -> None:
    """Where the cycle stands, and questions as README shows them: nothing is written, nothing becomes stale."""
    path = PROJECT / "notebooks" / name / f"{name}.ipynb"
    assert not any(cell.outputs for cell in code_of(path) if "keep_output" not in cell.metadata.get("tags", []))
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider", "-q", str(path)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert Cycle.open("demo", "2026-11").stale() == {}


def test_frames_show_numbers_as_people_write_them(finished: Cycle) -> None:
    """Once a cell read 5934.969332."""
    shown = [
        cell
        for path in sorted((finished.folder / "notebooks").glob("*.ipynb"))
        for code in code_of(path)
        for output in code.get("outputs", [])
        if "dataframe" in (html := "".join(output.get("data", {}).get("text/html", "")))
        for cell in re.findall(r"<td>([^<]*)</td>", html)
    ]
    numbers = [cell for cell in shown if re.fullmatch(r"-?[\d,]+\.\d+", cell)]
    assert len(numbers) > 20 and any("," in cell for cell in numbers)
    assert [cell for cell in numbers if not re.fullmatch(r"-?\d{1,3}(,\d{3})*\.\d\d", cell)] == []
