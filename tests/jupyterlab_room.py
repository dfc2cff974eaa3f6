"""A real JupyterLab of its own on 127.0.0.1, with a stage's control alone in a notebook: for tests and measurements."""

from __future__ import annotations

import os
import re
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
CONTROL = re.compile(r"workbench\.\w+\(c\)")
OPENING = """from sopkit import workbench
from sopkit.cycle import Cycle
c = Cycle.open(company, cycle, stage='{stage}')"""


def control_alone(stage: str, folder: Path) -> str:
    """Write the stage's notebook with its parameters and its control only into `folder`; returns its file name."""
    name = BY_NAME[stage].notebook
    notebook = nbformat.read(PROJECT / "notebooks" / name, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    parameters = next(cell for cell in code if "parameters" in cell.metadata.get("tags", []))
    control = next(cell for cell in code if CONTROL.search(cell.source))
    notebook.cells = [parameters, new_code_cell(OPENING.format(stage=stage)), control]
    folder.mkdir(exist_ok=True)
    nbformat.write(notebook, folder / name)
    return name


@contextmanager
def opened(folder: Path) -> Iterator[str]:
    """Address of a JupyterLab over `folder`, with its own settings and no access from outside."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = folder / "CONFIG" / "labconfig" / "page_config.json"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}')
    folders = {f"JUPYTER_{part}_DIR": str(folder / part) for part in ("CONFIG", "DATA", "RUNTIME")}
    options = ["--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root", "--IdentityProvider.token="]
    options += ["--ServerApp.disable_check_xsrf=True", f"--ServerApp.root_dir={folder}"]
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            cwd=folder,
            env=os.environ | folders | {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < until and server.poll() is None, (folder / "lab.log").read_text()
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
    page.locator(".jp-OutputArea h3").first.wait_for()
