"""A real JupyterLab of its own on 127.0.0.1, with a stage's control alone in a notebook: for tests and measurements."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell

from sopkit.tables import BY_NAME

PROJECT = Path(__file__).resolve().parents[1]
CONTROL = re.compile(r"workbench\.\w+\(c\b")
OPENING = """from sopkit import workbench
from sopkit.cycle import Cycle
c = Cycle.open(company, cycle, stage='{stage}')"""


# what a stage's notebook has before its controls: what was collected, and a figure of its own to become stale
BEFORE = {
    "collect": "from sopkit import collect\nread = c.company_folder, c.cycle\n"
    "collected = collect.collect(*read, carried=c.carried())",
    "demand": "from sopkit.demand import figures\nplan = workbench.consensus_sheet(c).plan",
}
FIGURE = {"demand": "figures.by_family(plan)"}


def control_alone(stage: str, folder: Path) -> str:
    """Write the stage's notebook with its parameters and its controls only into `folder`; returns its file name."""
    name = BY_NAME[stage].notebook
    notebook = nbformat.read(PROJECT / "notebooks" / name, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    parameters = next(cell for cell in code if "parameters" in cell.metadata.get("tags", []))
    controls = [cell for cell in code if CONTROL.search(cell.source)]
    more = [new_code_cell(source) for source in (BEFORE.get(stage), FIGURE.get(stage)) if source]
    notebook.cells = [parameters, new_code_cell(OPENING.format(stage=stage)), *more, *controls]
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / name)
    return name


@contextmanager
def opened(folder: Path) -> Iterator[str]:
    """Address of a JupyterLab over `folder`, with its own settings and no access from outside."""
    settings = folder / "CONFIG" / "labconfig" / "page_config.json"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}')
    options = ["--no-browser", "--ip=127.0.0.1", "--allow-root", "--IdentityProvider.token="]
    options += ["--ServerApp.disable_check_xsrf=True", f"--ServerApp.root_dir={folder}"]
    with _served(folder, "jupyterlab", options, "/api") as address:
        yield address


@contextmanager
def met(folder: Path) -> Iterator[str]:
    """Address of Voila over the notebooks in `folder`, as `make meet` serves them."""
    # under `make test` this is a make within a make, which would also print the folders it enters and leaves
    quiet = ["make", "--no-print-directory", "--dry-run", "meet"]
    told = subprocess.run(quiet, cwd=PROJECT, capture_output=True, text=True, check=True)
    options = shlex.split(told.stdout.splitlines()[-1])[1:-1]
    with _served(folder, "voila", ["--no-browser", *options, str(folder / "notebooks")], "/") as address:
        yield address


@contextmanager
def _served(folder: Path, program: str, options: list[str], ready: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = {f"JUPYTER_{part}_DIR": str(folder / part) for part in ("CONFIG", "DATA", "RUNTIME")}
    with (folder / f"{program}.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", program, f"--port={port}", *options],
            cwd=folder,
            env=os.environ | folders | {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 240
        while True:
            try:
                urllib.request.urlopen(f"{address}{ready}", timeout=5).close()
                break
            except OSError:
                told = (folder / f"{program}.log").read_text()
                assert time.monotonic() < until and server.poll() is None, told
                time.sleep(0.3)
        yield address
    finally:
        server.terminate()
        server.wait(30)


def run_all(page: Any) -> None:
    """Run every cell of the open notebook through the menu."""
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").or_(page.get_by_title("Kernel status: Idle")).first.wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.locator(".jp-OutputArea-output").first.wait_for()


def control(page: Any, heading: str) -> Any:
    """The control under a heading, to look for its parts in."""
    return page.locator(".jp-OutputArea-child", has=page.get_by_role("heading", name=heading, exact=True)).last


def kernels_of(address: str) -> list[int]:
    """Process numbers of the kernels of the JupyterLab at `address`."""
    port, found = address.rpartition(":")[2], {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().decode(errors="replace")
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        found[int(path.name)] = (parent, command)
    servers = {number for number, (_, command) in found.items() if f"--port={port}" in command}
    return [n for n, (parent, command) in found.items() if parent in servers and "ipykernel" in command]
