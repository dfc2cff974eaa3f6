"""The house keeps its laws: equal environments, no addresses, nothing strange at the top, all documented."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PROJECT = Path(__file__).resolve().parents[1]
SETTINGS = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = SETTINGS["optional-dependencies"]
INSTALLED = [
    Requirement(text) for text in (*SETTINGS["dependencies"], *EXTRAS["test"], *EXTRAS["dev"], *EXTRAS["dask"])
]
# conda-forge calls these otherwise
CONDA = {
    "great-tables": "great_tables",
    "duckdb": "python-duckdb",
    "playwright": "playwright-python",
    "jupyter-client": "jupyter_client",
}
MODULES = sorted((PROJECT / "sopkit").rglob("*.py"))
TEXTS = (".py", ".toml", ".yml", ".yaml", ".lock", ".md", ".ipynb", ".css", ".html", ".js", ".j2", ".csv", ".sql", "")


def printed(*command: str) -> str:
    """What a command prints, run in the project's folder."""
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout


def named(path: Path) -> str:
    """A module's path for a person."""
    return path.relative_to(PROJECT).as_posix()


def test_conda_and_pip_install_the_same() -> None:
    conda = yaml.safe_load((PROJECT / "environment.yml").read_text(encoding="utf-8"))
    (pip,) = (part["pip"] for part in conda["dependencies"] if isinstance(part, dict))
    lines = [line for line in conda["dependencies"] if isinstance(line, str) and line != "pip"]
    lines += [line for line in pip if not line.startswith("--editable")]
    have = {name: SpecifierSet(limits) for name, _, limits in (line.partition(" ") for line in lines)}
    want = {CONDA.get(need.name, need.name): need.specifier for need in INSTALLED}
    assert have == want | {"python": SpecifierSet(SETTINGS["requires-python"])}
    assert conda["channels"] == ["conda-forge"]


@pytest.mark.parametrize("need", INSTALLED, ids=lambda need: need.name)
def test_what_is_installed_is_inside_the_ranges_and_pinned(need: Requirement) -> None:
    assert need.specifier.contains(version(need.name))
    pins = (PROJECT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(pin) for pin in pins if Requirement(pin).name.lower() == need.name]
    assert pinned
    for pin in pinned:
        assert need.specifier.contains(next(iter(pin.specifier)).version)


def test_the_lock_is_names_and_versions_only() -> None:
    for line in (PROJECT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"[\w.\-]+==[\w.+!]+( ; .+)?", line), line


def test_no_file_names_a_package_index_or_a_machine() -> None:
    address = re.compile(r"https?://[^\s\"'`)>{]+|index-url\s*[=:]", re.IGNORECASE)
    # names of XML kinds, papers, this machine, and addresses that exist nowhere
    allowed = re.compile(
        r"https?://(www\.w3\.org/|schemas\.openxmlformats\.org/|in-toto\.io/|w3id\.org/|schema\.org/|doi\.org/|"
        r"127\\?\.0|localhost|[\w.-]*example\b)"
    )
    found = []
    for path in (PROJECT / name for name in printed("git", "ls-files").splitlines()):
        if path.suffix in TEXTS and path.is_file() and path != Path(__file__):
            addresses = address.findall(path.read_text(encoding="utf-8", errors="ignore"))
            found += [f"{named(path)}: {match}" for match in addresses if not allowed.match(match)]
    assert not found


TOP = {
    *("notebooks", "sopkit", "reports", "data", "tests", "environment.yml", "README.md", "pyproject.toml", "Makefile"),
    *(
        ".ci",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        ".pre-commit-config.yaml",
        "requirements.lock",
        ".gitignore",
    ),
}


def test_the_top_of_the_house_holds_what_the_design_names_and_nothing_else() -> None:
    assert {name.partition("/")[0] for name in printed("git", "ls-files").splitlines()} <= TOP


@pytest.mark.parametrize("number", range(3))
def test_hooks_before_a_commit_are_local_and_their_programs_pinned(number: int) -> None:
    repos = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [one["repo"] for one in repos] == ["local"]
    hook = repos[0]["hooks"][number]
    program = hook["entry"].split()[0]
    assert hook["language"] == "system" and program.startswith(".venv/bin/")
    assert Path(program).name in {need.name for need in INSTALLED}


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_every_public_function_is_annotated_and_documented(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert path.name == "__init__.py" and not tree.body or ast.get_docstring(tree), "the module says nothing"
    homes = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))]
    bare = []
    for home in homes:
        if isinstance(home, ast.ClassDef) and not ast.get_docstring(home):
            bare.append(home.name)
        for node in home.body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            named_ = [argument for argument in arguments if argument.arg not in ("self", "cls")]
            if not ast.get_docstring(node) or node.returns is None or any(a.annotation is None for a in named_):
                bare.append(node.name)
    assert not bare
