"""Runs the six notebooks in order through papermill: each in a process of its own, only what is stale if asked.

A stage begins when the tables of the one before it are complete: that one's figures are drawn meanwhile.
"""

from __future__ import annotations

import ast
import json
import sqlite3
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sopkit.cycle import crate, versions
from sopkit.cycle import lock as locks
from sopkit.cycle.cycle import Cycle
from sopkit.cycle.manifest import now
from sopkit.engine import Engine
from sopkit.errors import SettingsError, StageError, nearest
from sopkit.files import data_root, find_company, project_root, refuse_unwritable, unwritable
from sopkit.process import without_grammar
from sopkit.tables import BY_NAME, STAGES, Stage, parse_cycle

if TYPE_CHECKING:
    from sopkit.cycle.kernels import Kernel


def notebook_parameters(path: Path) -> dict[str, Any]:
    """Names and defaults in a notebook's cell tagged `parameters`; raises SettingsError where there is no such cell."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            found = {}
            for node in ast.parse("".join(cell["source"])).body:
                if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                    target: Any = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                    found[target.id] = ast.literal_eval(node.value)
            return found
    raise SettingsError(f"{path} has no cell tagged `parameters`.")


def find_notebooks(folder: Path | None = None) -> dict[str, Path]:
    """Stage -> notebook, by sorted glob over `folder` (default: notebooks/ of the project)."""
    folder = folder or project_root() / "notebooks"
    found = {path.stem.split("_", 1)[-1]: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}
    missing = [stage.notebook for stage in STAGES if stage.name not in found]
    if missing:
        raise SettingsError(
            f"{folder} lacks {', '.join(missing)}. Start in the folder that holds notebooks/ and data/, "
            "or lay one out: sopkit init FOLDER."
        )
    return found


def run(
    company: str,
    cycle: str,
    *,
    only: Iterable[str] = (),
    since: str = "",
    resume: bool = False,
    again: str = "",
    parameters: Mapping[str, Any] | None = None,
    notebooks: Path | None = None,
    reports: Path | None = None,
    progress: bool = True,
    warm: bool = True,
) -> Cycle:
    """Run the stages' notebooks in order through papermill and return the cycle.

    What is signed, published or followed by a later cycle is not run unless `again` says why; it then becomes a new
    version beside the old (SettingsError otherwise).
    `only` names the stages to run, `since` the first of them; with `resume`, stages that are not stale are left out.
    `parameters` go to every notebook that has a parameter of that name. Executed notebooks are kept, signed as trusted,
    in `<cycle folder>/notebooks`. Names and values are all checked before anything runs: SettingsError. With `warm`
    kernels are forked from one process that has imported the libraries (on Linux), else they are plain ones.
    A stage that fails raises StageError, which says what failed and what to do; its half-executed notebook is kept.
    So does a cycle that another process runs.
    """
    found = find_notebooks(notebooks)
    cycle = parse_cycle(cycle)
    for name in (*only, *([since] if since else [])):
        if name not in BY_NAME:
            raise SettingsError(f"no stage {name!r}: {nearest(name, BY_NAME)}")
    first = BY_NAME[since].number if since else 1
    stages = [stage for stage in STAGES if stage.number >= first and (not only or stage.name in only)]
    chosen = _checked_parameters({stage.name: found[stage.name] for stage in stages}, parameters or {})
    opened = Cycle.open(company, cycle, reports=reports)
    if any(stage.name == "collect" for stage in stages):
        find_company(company)

    Engine(str((parameters or {}).get("engine") or ""))  # refuses what is no address
    from sopkit.cycle.kernels import warm_process

    process: Any = warm and (warm_process() or True)  # before the database is opened
    stale = opened.stale() if resume else {}
    versions.begin(opened, [stage.name for stage in stages if not resume or stage.name in stale], again)
    refuse_unwritable(opened.folder)
    with locks.alone(opened.folder, f"{company} {cycle}"):
        _run(opened, found, stages, chosen, resume=resume, progress=progress, warm=process)
        if stages[-1].name == "publish" and "reproduces" not in opened.manifest and not opened.stale():
            crate.write(opened)
    return opened


def _run(
    cycle: Cycle,
    notebooks: Mapping[str, Path],
    stages: list[Stage],
    parameters: Mapping[str, dict[str, Any]],
    *,
    resume: bool,
    progress: bool,
    warm: Any,
) -> None:
    running = _Runner(cycle, notebooks, parameters, progress)
    try:
        # what hangs on a stale stage is stale too, so none is missing here
        stale = cycle.stale() if resume else {}
        wanted = [stage for stage in stages if not resume or running.must_run(stage, stale)]
        if wanted:
            running.begin([stage.name for stage in wanted], warm)
        for stage in stages:
            if stage is STAGES[-1]:
                running.wait()  # the pack tells how every stage stands
            if resume and not running.must_run(stage, cycle.stale(saved=running.shown)):
                running.say(f"{stage.number:02d} {stage.name:<10} not stale, left as it is")
            else:
                running.stage(stage, next((one for one in wanted if one.number > stage.number), None))
        running.wait()
    finally:
        running.close()


def _checked_parameters(notebooks: Mapping[str, Path], parameters: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    declared = {stage: notebook_parameters(path) for stage, path in notebooks.items()}
    wrong = [
        f"{path.name}: its first two parameters must be company and cycle"
        for stage, path in notebooks.items()
        if list(declared[stage])[:2] != ["company", "cycle"]
    ]
    valid = sorted({name for names in declared.values() for name in names} - {"company", "cycle"})
    chosen: dict[str, dict[str, Any]] = {stage: {} for stage in notebooks}
    for name, value in parameters.items():
        if name not in valid:
            hint = nearest(name, valid) if valid else "these notebooks have no parameters but company and cycle"
            wrong.append(f"no notebook to be run has a parameter {name!r}: {hint}")
            continue
        for stage in (stage for stage, names in declared.items() if name in names):
            try:
                chosen[stage][name] = _as_default(name, value, declared[stage][name])
            except SettingsError as error:
                wrong.append(str(error))
    if wrong:
        raise SettingsError("Nothing was run.\n" + "\n".join(dict.fromkeys(f"  {line}" for line in wrong)))
    return chosen


def _as_default(name: str, value: Any, default: Any) -> Any:
    """`value` (text from a command line) in the kind of the notebook's own default; SettingsError where it is none."""
    kind = type(default)
    if type(value) is kind:
        return value
    try:
        if isinstance(value, bool) and kind is not bool:
            raise TypeError
        if kind is bool:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[str(value).lower()]
        return kind(value)
    except (KeyError, TypeError, ValueError):
        wanted = {bool: "yes or no", int: "a whole number", float: "a number"}.get(kind, kind.__name__)
        raise SettingsError(
            f"parameter {name} is {value!r}, which is not {wanted}. Its default is {default!r}."
        ) from None


class _Runner:
    """Runs notebooks one after the other, each in a kernel of its own, the next kernel starting meanwhile."""

    def __init__(
        self, cycle: Cycle, notebooks: Mapping[str, Path], parameters: Mapping[str, dict[str, Any]], progress: bool
    ) -> None:
        with without_grammar():
            from tqdm import tqdm

        self.cycle, self.notebooks, self.parameters, self.told = cycle, notebooks, parameters, progress
        self.bar = tqdm(
            total=len(parameters),
            bar_format="{desc} {bar} {n_fmt}/{total_fmt} stages, {elapsed}",
            disable=not progress or not sys.stderr.isatty(),
            leave=False,
        )
        self.kernels: Any = None  # Kernels, once the run begins
        self.next: tuple[Stage, Kernel] | None = None
        self.shown: dict[str, tuple[Future[None], Kernel]] = {}  # the notebooks that run, by stage
        self.pool = ThreadPoolExecutor(max_workers=2)  # a notebook whose tables are complete, and the next one

    def begin(self, stages: list[str], warm: Any) -> None:
        """Start what the kernels of `stages` share; `warm` as `Kernels` takes it."""
        from sopkit.cycle.kernels import Kernels

        folders = {"SOPKIT_DATA": str(data_root()), "SOPKIT_REPORTS": str(self.cycle.folder.parents[1])}
        self.kernels = Kernels(stages, project_root(), folders | {"SOPKIT_RUNNER": "1"}, warm=warm)

    def say(self, line: str) -> None:
        if not self.bar.disable:
            self.bar.write(line)
        elif self.told:  # a log file keeps a line a stage instead of a bar drawn over itself
            print(line, file=sys.stderr, flush=True)
        self.bar.update()

    def must_run(self, stage: Stage, stale: Mapping[str, str]) -> bool:
        """Whether the stage is among those `stale`, or ran with other parameters."""
        ran = self.cycle.manifest["stages"].get(stage.name, {}).get("parameters")
        return ran != self.parameters[stage.name] or stage.name in stale

    def _kernel(self, stage: Stage) -> Kernel:
        """The kernel that was started for `stage`, or a new one where another stage was expected."""
        expected, kernel = self.next or (None, None)
        self.next = None
        if kernel is not None and expected == stage:
            return kernel
        if kernel is not None:
            kernel.stop()
        return self.kernels.start(stage.name)

    def stage(self, stage: Stage, following: Stage | None) -> None:
        """Run the notebook of `stage` until its tables are complete; `wait` is for the rest of it."""
        kernel = self._kernel(stage)
        with without_grammar(late=("requests",)):  # while the kernel starts
            import papermill  # noqa: F401

            from sopkit.cycle import execute  # noqa: F401
        kernel.ready()
        if following is not None:
            self.next = following, self.kernels.start(following.name)
        self.bar.set_description_str(f"{stage.number:02d} {stage.name}: {stage.question}")
        saved = Future[None]()
        self.shown[stage.name] = self.pool.submit(self._notebook, stage, kernel, saved), kernel
        self.wait(saved)

    def wait(self, saved: Future[None] | None = None) -> None:
        """Wait until all notebooks that run are done, or `saved`; raises what one of them failed with."""
        while self.shown and not (saved and saved.done()):
            running = [future for future, _ in self.shown.values()]
            done, _ = wait([*running, saved] if saved else running, return_when=FIRST_COMPLETED)
            for place, future in enumerate(running):
                if future in done and future.exception():
                    wait(running[:place])  # what it was made from is whole; what is made from it is not
                    future.result()
            self.shown = {name: one for name, one in self.shown.items() if one[0] not in done}

    def _notebook(self, stage: Stage, kernel: Kernel, saved: Future[None]) -> None:
        """Run the notebook of `stage` to its end; StageError, which says what to do, where it fails."""
        import papermill
        from nbformat.sign import NotebookNotary

        from sopkit.cycle.execute import ENGINE
        from sopkit.cycle.kernels import close_loop

        source = self.notebooks[stage.name]
        kept = self.cycle.folder / "notebooks" / source.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        self.cycle.mark(stage.name, "running", parameters=self.parameters[stage.name], started_at=now())
        began = time.perf_counter()
        try:
            # absolute paths, and the kernel runs where it shall: the working folder is every notebook's
            notebook = papermill.execute_notebook(
                source,
                kept,
                {"company": self.cycle.company_name, "cycle": self.cycle.cycle} | self.parameters[stage.name],
                engine_name=ENGINE,
                kernel_name="python3",
                km=kernel.ready(),
                progress_bar=False,
                saved=lambda: saved.set_result(None),
            )
        except BaseException as error:
            self.cycle.mark(stage.name, "failed", seconds=round(time.perf_counter() - began, 2))
            raise StageError(_what_failed(self.cycle, stage, source, kept, error)) from error
        finally:
            kernel.stop()
            close_loop()
        # without a signature JupyterLab would hide charts and table styles from the analyst who opens the notebook
        with suppress(sqlite3.Error, OSError):  # it only shows less without
            NotebookNotary().sign(notebook)
        seconds = time.perf_counter() - began
        self.cycle.mark(stage.name, "done", seconds=round(seconds, 2))
        self.say(f"{stage.number:02d} {stage.name:<10} {seconds:5.1f} s")

    def close(self) -> None:
        """End every kernel, and with it the notebooks that still run."""
        for _, kernel in self.shown.values():
            kernel.kill()
        self.pool.shutdown()
        if self.next is not None:
            self.next[1].stop()
        if self.kernels is not None:
            self.kernels.close()
        self.bar.close()


def _what_failed(cycle: Cycle, stage: Stage, source: Path, kept: Path, error: BaseException) -> str:
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, PapermillExecutionError):
        what = f"In cell {error.exec_count}, {error.ename}: {error.evalue}"
    elif isinstance(error, DeadKernelError):
        what = "Its Python process was ended from outside, most often by the system when memory ran out."
    elif isinstance(error, OSError):
        what = unwritable(error.filename or kept, error)
    else:
        what = f"{type(error).__name__}: {error}"
    return (
        f"Stage {stage.name} failed ({source.name}). {what}\n"
        f"The half-executed notebook is kept: {kept}. Correct the cause, then go on with "
        f"`{cycle.command('--from ' + stage.name)}`; the stages before it need not run again."
    )
