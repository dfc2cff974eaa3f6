"""One monthly cycle of one company: its folder, its tables, its manifest, and the runner of its six notebooks.

A stage reads and writes through `Cycle`, which lets nothing pass that is not declared in `sopkit/tables`.
The manifest (`manifest.json` in the cycle's folder) holds the sha256 of every table and file, what each stage read when
it ran, with which parameters and versions: from it follow what is stale, what can be skipped, what was tampered with.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import pkgutil
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import sopkit
from sopkit.errors import SettingsError, StageError, nearest
from sopkit.files import (
    data_root,
    find_company,
    folder_hash,
    from_parquet,
    project_root,
    replace_file,
    reports_root,
    sha256,
    to_parquet,
)
from sopkit.tables import (
    BY_NAME,
    RECORDS,
    STAGES,
    TABLES,
    Company,
    Stage,
    Table,
    load_company,
    parse_cycle,
    table,
    written_by,
)

if TYPE_CHECKING:
    from sopkit.book import Book, Plan
    from sopkit.records import Records

RECORD_NAMES = frozenset(record.name for record in RECORDS)
# what people say is taken when it is needed, everything else of a company when `collect` runs
SAID_FILES = frozenset({"decisions.yaml"})
LIBRARIES = (
    "altair",
    "highspy",
    "numpy",
    "pandas",
    "pandera",
    "papermill",
    "pyarrow",
    "pyomo",
    "scipy",
    "statsforecast",
)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def declaration_hash(declared: Table) -> str:
    """A short hash of all that a table's declaration says."""
    return sha256(repr(declared).encode())[:16]


def source_hash(folder: Path) -> str:
    """One sha256 over a company's `folder` and over its raw files where they lie elsewhere."""
    whole, raw = folder_hash(folder, SAID_FILES), load_company(folder).raw_folder(folder).resolve()
    inside = raw.is_relative_to(folder.resolve())
    return whole if inside else sha256(f"{whole} {folder_hash(raw, SAID_FILES)}".encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "sopkit": sopkit.__version__}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


class Cycle:
    """One cycle of one company, seen from one stage.

    >>> c = Cycle.open("demo", "2026-11", stage="supply")
    >>> c.save(supply.plan(c.book))

    `company_name` and `cycle` name it; `folder` is `reports/<company>/<cycle>`; `stage` limits what may be read and
    written (None = read everything, write nothing).
    """

    def __init__(self, company: str, cycle: str, stage: str | None, folder: Path, source: Path | None) -> None:
        self.company_name = company
        self.cycle = cycle
        self.stage = stage
        self.folder = folder
        self._source = source
        self._read: dict[str, str] = {}
        self._wrote: set[str] = set()
        self._heard: dict[str, tuple[bytes, dict[str, Any]]] = {}

    @classmethod
    def open(cls, company: str, cycle: str, stage: str | None = None, *, reports: Path | None = None) -> Cycle:
        """The `cycle` (`2026-11`) of `company` as `stage` sees it, in `reports` (default: `reports_root()`).

        Raises SettingsError for a cycle that is no month, a company without a folder, or a stage that does not exist.
        """
        cycle = parse_cycle(cycle)
        if stage is not None and stage not in BY_NAME:
            raise SettingsError(f"no stage {stage!r}: {nearest(stage, BY_NAME)}")
        folder = (reports or reports_root()) / company / cycle
        # a finished cycle folder is enough to read from and to plan again: the company's own folder may be gone
        kept = stage != "collect" and (folder / "snapshot" / "company.yaml").is_file()
        try:
            source = find_company(company)
        except SettingsError:
            if not kept:
                raise
            source = None
        return cls(company, cycle, stage, folder, source)

    @property
    def company_folder(self) -> Path:
        """The company's own folder of raw files: for `collect` only, every later stage reads the snapshot."""
        if self._source is None or self.stage not in (None, "collect"):
            raise StageError(
                f"Stage {self.stage} may not look into data/{self.company_name}: it reads what collect wrote."
            )
        return self._source

    @cached_property
    def company(self) -> Company:
        """The company's settings: as they stand for `collect`, as collect kept them for every later stage."""
        kept = self.folder / "snapshot"
        if self.stage == "collect" or not (kept / "company.yaml").is_file():
            if self.stage not in (None, "collect"):
                raise self._not_made("the settings", "collect")
            return load_company(self._source)
        return load_company(kept)

    @property
    def months(self) -> list[pd.Timestamp]:
        """The planned months, the cycle's own first."""
        return self.company.months(self.cycle)

    @cached_property
    def records(self) -> Records:
        """What people said about this company."""
        from sopkit.records import Records

        return Records.of(self.company_name)

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest as it stands; an empty one where nothing was written yet."""
        try:
            return json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"company": self.company_name, "cycle": self.cycle, "tables": {}, "files": {}, "stages": {}}
        except json.JSONDecodeError as error:
            raise StageError(
                f"{self.folder / 'manifest.json'} is not readable ({error}). Remove it and run the cycle again."
            ) from None

    def _keep(self, manifest: dict[str, Any]) -> None:
        text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        replace_file(self.folder / "manifest.json", text.encode())

    # tables ----------------------------------------------------------------------------------------------------

    @property
    def reads(self) -> list[str]:
        """Names of the tables that the stage declared to read."""
        declared = BY_NAME[self.stage].reads if self.stage else ("*",)
        if "*" in declared:
            return [name for name in TABLES if TABLES[name].stage != self.stage]
        return list(declared)

    def read(self, name: str) -> pd.DataFrame:
        """Table `name` as declared in `sopkit/tables`; an optional table that nobody brought is empty.

        Raises StageError where the stage did not declare to read it, where it is not made yet, or where its file is not
        the one that was written.
        """
        declared = self._declared(name)
        if name not in self.reads and declared.stage != self.stage:
            raise StageError(
                f"Stage {self.stage} does not declare to read {name!r}, only {', '.join(self.reads) or 'nothing'}. "
                f"Add it to the stage in sopkit/tables/stages.py if the stage truly needs it."
            )
        manifest = self.manifest
        if name in RECORD_NAMES and "reproduces" not in manifest:
            return self._read_record(declared)
        entry = manifest["tables"].get(name)
        if entry is None:
            if declared.stage in manifest["stages"] and (not declared.required or name in RECORD_NAMES):
                return declared.empty()
            if name in RECORD_NAMES:
                return declared.empty()
            raise self._not_made(f"table {name}", declared.stage)
        path = self.folder / "tables" / f"{name}.parquet"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise self._not_made(f"table {name}", declared.stage) from None
        if sha256(content) != entry["sha256"]:
            raise StageError(
                f"{path} is not the file that stage {entry['stage']} wrote: its sha256 is not the manifest's. "
                f"Make it again: {self._command('--from ' + entry['stage'])}."
            )
        if declared.stage != self.stage:
            self._read[name] = entry["sha256"]
        frame = from_parquet(content)
        # these very bytes were checked when they were written; again only if the declaration has changed since
        return frame if entry.get("declared") == declaration_hash(declared) else declared.check(frame)

    def _read_record(self, declared: Table) -> pd.DataFrame:
        frame = declared.check(self.records.read(declared.name, cycle=self.cycle))
        content = to_parquet(declared, frame)
        self._read[declared.name] = sha256(content)
        self._heard[declared.name] = (content, self._entry("records", declared, content, len(frame)))
        return frame

    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table that the stage declared to read."""
        return {name: self.read(name) for name in self.reads}

    @property
    def book(self) -> Book:
        """What the stage declared to read, as one value; without a stage, everything that is there."""
        from sopkit.book import Book

        return Book(*self._asked())

    @property
    def plan(self) -> Plan:
        """The cycle's plan as a value that can be asked, changed and compared; `book` with what was planned on it."""
        from sopkit.book import Plan

        return Plan(*self._asked(), title=f"Plan of {self.cycle}")

    def _asked(self) -> tuple[Any, ...]:
        from sopkit.book import load_questions, load_scenarios

        asked = BY_NAME[self.stage].settings if self.stage else "scenarios.yaml decisions.yaml"
        scenarios = load_scenarios(self.file("scenarios.yaml")) if "scenarios.yaml" in asked else {}
        questions = load_questions(self.said("decisions.yaml")) if "decisions.yaml" in asked else []
        tables = self.tables() if self.stage else self._there()
        return tables, self.company, self.cycle, scenarios, questions, self.manifest

    def _there(self) -> dict[str, pd.DataFrame]:
        return {name: self.read(name) for name in self.reads if name in RECORD_NAMES or name in self.manifest["tables"]}

    def earlier(self, name: str) -> pd.DataFrame:
        """Table `name` as the earlier cycles of the company kept it, one below the other; empty where none did."""
        kept = [
            Cycle.open(self.company_name, folder.name).read(name)
            for folder in sorted(self.folder.parent.glob("????-??"))
            if folder.name < self.cycle and (folder / "tables" / f"{name}.parquet").is_file()
        ]
        return pd.concat(kept, ignore_index=True) if kept else self._declared(name).empty()

    def write(self, name: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Check `frame` and keep it as table `name`; returns it as kept (declared columns and dtypes, sorted by key).

        Raises StageError where the stage does not write that table, FindingsError where a cell breaks the declaration.
        """
        return self.save({name: frame})[name]

    def save(self, frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        """Check all `frames` (name -> frame), then keep them all; nothing is written where one of them is wrong.

        The first save of a stage replaces everything that an earlier run of the same stage left.
        """
        if self.stage is None:
            raise StageError("A cycle opened without a stage is for reading. Open it with stage=... to write.")
        mine = written_by(self.stage)
        for name in frames:
            if name not in mine:
                owner = self._declared(name).stage
                raise StageError(
                    f"Stage {self.stage} does not write {name!r}, stage {owner} does. It writes {', '.join(mine)}."
                )
        checked = {name: TABLES[name].check(frame) for name, frame in frames.items()}
        contents = {name: to_parquet(TABLES[name], frame) for name, frame in checked.items()}
        manifest = self.manifest
        if not self._wrote:
            self._forget(manifest, self.stage)
        if self.stage == "collect" and not self._wrote:
            self._snapshot(manifest, exclude=SAID_FILES)
        for name, content in contents.items():
            replace_file(self.folder / "tables" / f"{name}.parquet", content)
            manifest["tables"][name] = self._entry(self.stage, TABLES[name], content, len(checked[name]))
        self._wrote |= set(frames)
        self._noted(manifest)
        self._keep(manifest)
        return checked

    def write_file(self, name: str, content: str | bytes) -> Path:
        """Keep a file that is no table (`plan.html`) in the cycle's folder, its sha256 in the manifest."""
        path = self.folder / name
        if path.resolve().parent != self.folder.resolve() or name == "manifest.json" or self.stage is None:
            raise StageError(f"{name!r} is no file that a stage may write: give a plain file name.")
        content = content.encode() if isinstance(content, str) else content
        replace_file(path, content)
        manifest = self.manifest
        manifest["files"][name] = {"stage": self.stage, "sha256": sha256(content)}
        self._noted(manifest)
        self._keep(manifest)
        return path

    def file(self, name: str) -> Path:
        """A settings file of the company (`scenarios.yaml`) as collect kept it in the folder; it may not exist."""
        path = self.folder / "snapshot" / name
        if path.is_file():
            self._read[f"snapshot/{name}"] = sha256(path)
        return path

    def said(self, name: str = "decisions.yaml") -> Path:
        """A file in which people answer, as it stands when the stage asks; a copy is kept; it may not exist."""
        manifest = self.manifest
        if self._source is not None and self.stage is not None and "reproduces" not in manifest:
            self._snapshot(manifest, only={name})
            self._keep(manifest)
        return self.file(name)

    def _snapshot(self, manifest: dict[str, Any], only: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        names = set(only) or {path.name for path in self._source.glob("*.yaml")} - set(exclude)
        for name in sorted(names):
            path, key = self._source / name, f"snapshot/{name}"
            if path.is_file():
                replace_file(self.folder / key, path.read_bytes())
                manifest["files"][key] = {"stage": "collect", "sha256": sha256(path)}
            else:
                (self.folder / key).unlink(missing_ok=True)
                manifest["files"].pop(key, None)

    def _forget(self, manifest: dict[str, Any], stage: str) -> None:
        for name in [name for name, entry in manifest["tables"].items() if entry["stage"] == stage]:
            del manifest["tables"][name]
            (self.folder / "tables" / f"{name}.parquet").unlink(missing_ok=True)

    def _noted(self, manifest: dict[str, Any]) -> None:
        # what people had said when the stage ran joins the snapshot: the plan can be made again without the database
        for name, (content, heard) in self._heard.items():
            replace_file(self.folder / "tables" / f"{name}.parquet", content)
            manifest["tables"][name] = heard
        manifest["versions"] = _versions()
        entry = manifest["stages"].setdefault(self.stage, {})
        entry["read"] = dict(sorted(self._read.items()))
        entry["written_at"] = _now()
        if entry.get("state") != "running":
            entry["state"] = "done"

    # what stands, what is stale ---------------------------------------------------------------------------------

    def plan_hash(self, stage: str = "publish") -> str:
        """One sha256 over all tables that the stages up to and including `stage` wrote: what a signature signs."""
        upto = BY_NAME[stage].number
        lines = [
            f"{name} {entry['sha256']}\n"
            for name, entry in sorted(self.manifest["tables"].items())
            if entry["stage"] in BY_NAME and BY_NAME[entry["stage"]].number <= upto
        ]
        return sha256("".join(lines).encode())

    def stale(self) -> dict[str, str]:
        """Stages whose result no longer fits what it was made from, with the reason; in the order of the stages."""
        manifest, found = self.manifest, {}
        for stage in STAGES:
            reason = self._why_stale(stage, manifest, found)
            if reason:
                found[stage.name] = reason
        return found

    def _why_stale(self, stage: Stage, manifest: dict[str, Any], before: Mapping[str, str]) -> str:
        entry = manifest["stages"].get(stage.name)
        if entry is None:
            return "not run yet"
        if entry["state"] != "done":
            return {"failed": "failed", "running": "was interrupted"}[entry["state"]]
        if stage.name == "collect":
            if self._source is not None and entry.get("source") not in (None, source_hash(self._source)):
                return f"the files in {self._source.name}/ changed"
        for name, seen in entry["read"].items():
            # a signature is about the tables; it changes none
            if name != "sign_offs" and seen != self._current(name, manifest):
                return f"{name} changed" if name not in RECORD_NAMES else f"{name}: people said something new"
        makers = [manifest["tables"][name]["stage"] for name in entry["read"] if name in manifest["tables"]]
        return next((f"{maker} is stale" for maker in sorted(set(makers)) if maker in before), "")

    def _current(self, name: str, manifest: dict[str, Any]) -> str | None:
        if name.startswith("snapshot/"):
            said = self._source / Path(name).name if self._source and Path(name).name in SAID_FILES else None
            if said is not None:
                return sha256(said) if said.is_file() else None
            return manifest["files"].get(name, {}).get("sha256")
        if name in RECORD_NAMES and "reproduces" not in manifest:
            declared = TABLES[name]
            return sha256(to_parquet(declared, declared.check(self.records.read(name, cycle=self.cycle))))
        return manifest["tables"].get(name, {}).get("sha256")

    def verify(self) -> list[str]:
        """What does not fit between the folder, its manifest and the event log; nothing = all is as it was written."""
        manifest, wrong = self.manifest, []
        if not manifest["stages"]:
            return [f"{self.folder} holds no cycle that was run"]
        expected = {f"tables/{name}.parquet": entry for name, entry in manifest["tables"].items()} | manifest["files"]
        for name, entry in sorted(expected.items()):
            path = self.folder / name
            if not path.is_file():
                wrong.append(f"{name} is missing")
            elif sha256(path) != entry["sha256"]:
                wrong.append(f"{name} is not the file that stage {entry['stage']} wrote")
        for path in sorted((self.folder / "tables").glob("*.parquet")):
            if f"tables/{path.name}" not in expected:
                wrong.append(f"tables/{path.name} is not in the manifest")
        if "reproduces" not in manifest:
            wrong += self.records.verify()
            events = self.records.events(kind="stage", cycle=self.cycle)
            for stage in manifest["stages"]:
                logged = events[events["name"] == stage]
                if logged.empty:
                    wrong.append(f"the event log does not know that stage {stage} ran")
                elif json.loads(logged.iloc[-1]["body"])["plan_hash"] != self.plan_hash(stage):
                    wrong.append(f"the tables up to stage {stage} are not those that the event log saw when it ran")
        return wrong

    def status(self) -> pd.DataFrame:
        """One row a stage: state, when it was written, seconds, who signed it as it stands, and why it is stale."""
        manifest, stale = self.manifest, self.stale()
        signed = self.records.read("sign_offs", cycle=self.cycle)
        signed = signed[signed["cycle"] == self.cycle]
        rows = []
        for stage in STAGES:
            entry = manifest["stages"].get(stage.name, {})
            holds = signed[(signed["stage"] == stage.name) & (signed["plan_hash"] == self.plan_hash(stage.name))]
            lapsed = set(signed.loc[signed["stage"] == stage.name, "author"]) - set(holds["author"])
            rows.append(
                {
                    "stage": stage.name,
                    "state": entry.get("state", "-") if stage.name not in stale else "stale",
                    "written": entry.get("written_at", "-"),
                    "seconds": entry.get("seconds", "-"),
                    "signed by": ", ".join(
                        [*sorted(set(holds["author"])), *(f"({name}, before a change)" for name in sorted(lapsed))]
                    )
                    or "-",
                    "why stale": stale.get(stage.name, ""),
                }
            )
        return pd.DataFrame(rows)

    def sign(self, stage: str, *, by: str, note: str = "") -> int:
        """Record that `by` signs `stage` exactly as its tables are now; returns the record's number.

        Raises SettingsError for an unknown stage or a person who may not sign it, StageError where the stage is stale.
        """
        if stage not in BY_NAME:
            raise SettingsError(f"no stage {stage!r}: {nearest(stage, BY_NAME)}")
        people = self.read("people").set_index("name")["may_sign"]
        if by not in people.index:
            raise SettingsError(f"{by!r} is not in table people: {nearest(by, people.index)}")
        if stage not in people[by].split():
            may = sorted(name for name, stages in people.items() if stage in stages.split())
            raise SettingsError(
                f"{by} may not sign {stage}. Those who may: {', '.join(may) or 'nobody; see table people'}."
            )
        stale = self.stale()
        if stage in stale:
            raise StageError(
                f"Stage {stage} cannot be signed, it is stale: {stale[stage]}. Run first: {self._command('--resume')}."
            )
        return self.records.add(
            "sign_offs", author=by, cycle=self.cycle, stage=stage, note=note, plan_hash=self.plan_hash(stage)
        )

    # run by the runner -----------------------------------------------------------------------------------------

    def mark(self, stage: str, state: str, **more: Any) -> None:
        """Note in the manifest that `stage` is `running`, `done` or `failed`, with parameters, seconds and the like."""
        manifest = self.manifest
        entry = manifest["stages"].setdefault(stage, {"read": {}})
        entry.update(more, state=state)
        if state == "done" and stage == "collect" and self._source is not None:
            entry["source"] = source_hash(self._source)
        self._keep(manifest)
        if state != "running" and "reproduces" not in manifest:
            self.records.log(
                "stage", stage, cycle=self.cycle, author="runner", state=state, plan_hash=self.plan_hash(stage)
            )

    @staticmethod
    def _entry(stage: str, declared: Table, content: bytes, rows: int) -> dict[str, Any]:
        return {"stage": stage, "sha256": sha256(content), "rows": rows, "declared": declaration_hash(declared)}

    def _declared(self, name: str) -> Table:
        try:
            return table(name)
        except KeyError as error:
            raise StageError(error.args[0]) from None

    def _command(self, more: str = "") -> str:
        return f"sopkit run --company {self.company_name} --cycle {self.cycle} {more}".strip()

    def _not_made(self, what: str, stage: str) -> StageError:
        return StageError(
            f"{what} of {self.company_name} {self.cycle} is not made yet: stage {stage} writes it. "
            f"Run it first: {self._command('--only ' + stage)}."
        )


# the runner ----------------------------------------------------------------------------------------------------


def notebook_parameters(path: Path) -> dict[str, Any]:
    """Names and defaults in a notebook's cell tagged `parameters`; raises SettingsError where there is no such cell."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            found = {}
            for node in ast.parse("".join(cell["source"])).body:
                if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                    target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                    found[target.id] = ast.literal_eval(node.value)
            return found
    raise SettingsError(f"{path} has no cell tagged `parameters`.")


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
        said = {bool: "yes or no", int: "a whole number", float: "a number"}.get(kind, kind.__name__)
        raise SettingsError(
            f"parameter {name} is {value!r}, which is not {said}. Its default is {default!r}."
        ) from None


def find_notebooks(folder: Path | None = None) -> dict[str, Path]:
    """Stage -> notebook, by sorted glob over `folder` (default: notebooks/ of the project)."""
    folder = folder or project_root() / "notebooks"
    found = {path.stem.split("_", 1)[-1]: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}
    missing = [stage.notebook for stage in STAGES if stage.name not in found]
    if missing:
        raise SettingsError(
            f"{folder} lacks {', '.join(missing)}. Start in the folder that holds notebooks/ and data/."
        )
    return found


def warm(stage: str) -> None:
    """Import what the notebook of `stage` will import and draw one figure, while the notebook before it still runs.

    Leaves nothing but loaded modules. What cannot be imported is left to the notebook, which then says so.
    """
    with suppress(Exception):
        room = Path(sopkit.__file__).parent / stage
        for module in pkgutil.iter_modules([str(room)], f"sopkit.{stage}."):
            importlib.import_module(module.name)
        for late in getattr(importlib.import_module(f"sopkit.{stage}"), "IMPORTED_LATE", ()):
            importlib.import_module(late)
        charts = importlib.import_module("sopkit.charts")
        nothing = pd.DataFrame({"month": [pd.Timestamp("2026-01-01")], "units": [0.0]})
        charts.line(nothing, "units", title="", unit="units", look_for="")
        charts.table(nothing, {"month": "Month"}, title="")


class _NextKernel:
    """A kernel that starts in a thread while the notebook before it still runs; each notebook gets its own."""

    def __init__(self, environment: Mapping[str, str], cwd: Path, warm_for: Stage | None = None) -> None:
        from jupyter_client.asynchronous.client import AsyncKernelClient
        from jupyter_client.manager import KernelManager

        # ipc: no TCP port to race for, and none open on the machine; two kernels must not share the sockets' folder
        self._sockets = tempfile.TemporaryDirectory(prefix="sopkit-")
        self.manager = KernelManager(
            kernel_name="python3",
            transport="ipc" if os.name == "posix" else "tcp",
            connection_file=str(Path(self._sockets.name) / "kernel.json"),
        )
        self.manager.client_class = f"{AsyncKernelClient.__module__}.{AsyncKernelClient.__name__}"
        self.manager.client_factory = AsyncKernelClient
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._start, args=(dict(environment), str(cwd), warm_for), daemon=True)
        self._thread.start()

    def _start(self, environment: dict[str, str], cwd: str, warm_for: Stage | None) -> None:
        arguments = ["--HistoryManager.enabled=False"]
        if warm_for is not None:
            arguments.append(f"--IPKernelApp.exec_lines=__import__('sopkit.cycle').cycle.warm({warm_for.name!r})")
        try:
            self.manager.start_kernel(env=environment, cwd=cwd, extra_arguments=arguments)
        except BaseException as error:
            self._error = error

    def ready(self) -> Any:
        self._thread.join()
        if self._error is not None:
            raise StageError(
                f"No Jupyter kernel could be started ({self._error}). Install the environment again (`make plan`)."
            )
        return self.manager

    def stop(self) -> None:
        self._thread.join()
        if self._error is None and self.manager.has_kernel:
            # a graceful shutdown takes three seconds more in one case of ten, and there is nothing left to save
            self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        self._sockets.cleanup()


def run(
    company: str,
    cycle: str,
    *,
    only: Iterable[str] = (),
    since: str = "",
    resume: bool = False,
    parameters: Mapping[str, Any] | None = None,
    notebooks: Path | None = None,
    reports: Path | None = None,
    progress: bool = True,
    ahead: bool = True,
) -> Cycle:
    """Run the stages' notebooks in order through papermill and return the cycle.

    `only` names the stages to run, `since` the first of them; with `resume`, stages that are not stale are left out.
    `parameters` go to every notebook that has a parameter of that name. Executed notebooks are kept, signed as trusted,
    in `<cycle folder>/notebooks`. Names and values are all checked before anything runs: SettingsError. With `ahead`
    the libraries of a notebook are imported, in its own kernel, while the one before it still runs.
    A stage that fails raises StageError, which says what failed and what to do; its half-executed notebook is kept.
    """
    found = find_notebooks(notebooks)
    cycle = parse_cycle(cycle)
    for stage in (*only, *([since] if since else [])):
        if stage not in BY_NAME:
            raise SettingsError(f"no stage {stage!r}: {nearest(stage, BY_NAME)}")
    first = BY_NAME[since].number if since else 1
    stages = [stage for stage in STAGES if stage.number >= first and (not only or stage.name in only)]
    chosen = _checked_parameters({stage.name: found[stage.name] for stage in stages}, parameters or {})
    opened = Cycle.open(company, cycle, reports=reports)
    if any(stage.name == "collect" for stage in stages):
        find_company(company)

    running = _Runner(opened, found, chosen, progress, ahead)
    try:
        for stage, following in zip(stages, [*stages[1:], None], strict=True):
            if resume and stage.name not in opened.stale() and running.same_parameters(stage):
                running.say(f"{stage.number:02d} {stage.name:<10} not stale, left as it is")
                continue
            running.stage(stage, following)
    finally:
        running.close()
    return opened


def _checked_parameters(notebooks: Mapping[str, Path], parameters: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    declared = {stage: notebook_parameters(path) for stage, path in notebooks.items()}
    wrong = []
    for stage, path in notebooks.items():
        if list(declared[stage])[:2] != ["company", "cycle"]:
            wrong.append(f"{path.name}: its first two parameters must be company and cycle")
    valid = sorted({name for names in declared.values() for name in names} - {"company", "cycle"})
    chosen: dict[str, dict[str, Any]] = {stage: {} for stage in notebooks}
    for name, value in parameters.items():
        if name not in valid:
            hint = nearest(name, valid) if valid else "these notebooks have no parameters but company and cycle"
            wrong.append(f"no notebook to be run has a parameter {name!r}: {hint}")
        for stage, names in declared.items():
            if name in names and name in valid:
                try:
                    chosen[stage][name] = _as_default(name, value, names[name])
                except SettingsError as error:
                    wrong.append(str(error))
    if wrong:
        raise SettingsError("Nothing was run.\n" + "\n".join(dict.fromkeys(f"  {line}" for line in wrong)))
    return chosen


class _Runner:
    """Runs notebooks one after the other, each in a kernel of its own, the next kernel starting meanwhile."""

    def __init__(
        self,
        cycle: Cycle,
        notebooks: Mapping[str, Path],
        parameters: Mapping[str, dict[str, Any]],
        progress: bool,
        ahead: bool,
    ) -> None:
        # jsonschema would compile the grammar of this package at import: 2-3 s for one format check nobody asks for
        sys.modules.setdefault("rfc3987_syntax", None)
        from tqdm import tqdm

        self.cycle, self.notebooks, self.parameters, self.ahead = cycle, notebooks, parameters, ahead
        self.bar = tqdm(
            total=len(parameters),
            bar_format="{desc} {bar} {n_fmt}/{total_fmt} stages, {elapsed}",
            disable=not progress or not sys.stderr.isatty(),
            leave=False,
        )
        self.told = progress
        package = str(Path(sopkit.__file__).parents[1])
        self.environment = os.environ | {
            "SOPKIT_DATA": str(data_root()),
            "SOPKIT_REPORTS": str(cycle.folder.parents[1]),
            "SOPKIT_RUNNER": "1",
            # the checkout that started the run is the one that runs, whatever the working folder
            "PYTHONPATH": os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH")))),
            # sets must not change their order, nor sums their last digit, from one run or machine to the next
            "PYTHONHASHSEED": "0",
            **{name: os.environ.get(name, "1") for name in THREADS},
        }
        self.cwd = project_root()
        self.next: tuple[Stage, _NextKernel] | None = None

    def say(self, line: str) -> None:
        if not self.bar.disable:
            self.bar.write(line)
        elif self.told:  # a log file keeps a line a stage instead of a bar drawn over itself
            print(line, file=sys.stderr, flush=True)
        self.bar.update()

    def same_parameters(self, stage: Stage) -> bool:
        return self.cycle.manifest["stages"].get(stage.name, {}).get("parameters") == self.parameters[stage.name]

    def _kernel(self, stage: Stage) -> _NextKernel:
        """The kernel that was started for `stage`, or a new one where another stage was expected."""
        expected, kernel = self.next or (None, None)
        self.next = None
        if expected == stage:
            return kernel
        if kernel is not None:
            kernel.stop()
        return _NextKernel(self.environment, self.cwd)

    def stage(self, stage: Stage, following: Stage | None) -> None:
        kernel = self._kernel(stage)
        # imported while the kernel starts
        import papermill
        from nbformat.sign import NotebookNotary

        source = self.notebooks[stage.name]
        kept = self.cycle.folder / "notebooks" / source.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        self.bar.set_description_str(f"{stage.number:02d} {stage.name}: {stage.question}")
        self.cycle.mark(stage.name, "running", parameters=self.parameters[stage.name], started_at=_now())
        began = time.perf_counter()
        try:
            manager = kernel.ready()
            if following is not None:
                warm_for = following if self.ahead else None
                self.next = following, _NextKernel(self.environment, self.cwd, warm_for)
            notebook = papermill.execute_notebook(
                source,
                kept,
                {"company": self.cycle.company_name, "cycle": self.cycle.cycle} | self.parameters[stage.name],
                kernel_name="python3",
                km=manager,
                progress_bar=False,
                cwd=self.cwd,
            )
        except BaseException as error:
            self.cycle.mark(stage.name, "failed", seconds=round(time.perf_counter() - began, 2))
            if isinstance(error, KeyboardInterrupt):
                raise
            raise StageError(_what_failed(self.cycle, stage, source, kept, error)) from error
        finally:
            kernel.stop()
        # without a signature JupyterLab would hide charts and table styles from the analyst who opens the notebook
        NotebookNotary().sign(notebook)
        seconds = time.perf_counter() - began
        self.cycle.mark(stage.name, "done", seconds=round(seconds, 2))
        self.say(f"{stage.number:02d} {stage.name:<10} {seconds:5.1f} s")

    def close(self) -> None:
        if self.next is not None:
            self.next[1].stop()
        self.bar.close()


def _what_failed(cycle: Cycle, stage: Stage, source: Path, kept: Path, error: BaseException) -> str:
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, PapermillExecutionError):
        what = f"In cell {error.exec_count}, {error.ename}: {error.evalue}"
    elif isinstance(error, DeadKernelError):
        what = "Its Python process was ended from outside, most often by the system when memory ran out."
    else:
        what = f"{type(error).__name__}: {error}"
    return (
        f"Stage {stage.name} failed ({source.name}). {what}\n"
        f"The half-executed notebook is kept: {kept}. Correct the cause, then go on with "
        f"`{cycle._command('--from ' + stage.name)}`; the stages before it need not run again."
    )


def reproduce(company: str, cycle: str, *, progress: bool = True) -> tuple[list[str], list[str], list[str]]:
    """Make a finished plan again in a temporary folder, from the snapshot that its cycle folder holds and nothing else.

    Returns what is different, the names of the tables that are the same, and which library versions differ from the
    first time. Neither the company's folder nor the records database is looked at.
    """
    first = Cycle.open(company, cycle)
    manifest = first.manifest
    missing = [stage.name for stage in STAGES if manifest["stages"].get(stage.name, {}).get("state") != "done"]
    if missing:
        raise StageError(f"{first.folder} holds no finished plan: {', '.join(missing)} did not run to the end.")
    newer = [
        f"{stage}: {name} changed after it ran"
        for stage, entry in manifest["stages"].items()
        for name, seen in entry["read"].items()
        if name in manifest["tables"] and name != "sign_offs" and manifest["tables"][name]["sha256"] != seen
    ]
    if newer:
        raise StageError(
            f"{first.folder} does not hold what its plan was made from ({'; '.join(newer)}). "
            f"Run what is stale first: {first._command('--resume')}."
        )
    kept = {name: entry for name, entry in manifest["tables"].items() if entry["stage"] in ("collect", "records")}
    made = {name: entry for name, entry in manifest["tables"].items() if name not in kept}
    with tempfile.TemporaryDirectory(prefix="sopkit-") as temporary:
        again = Cycle(company, cycle, None, Path(temporary) / company / cycle, None)
        for name in kept:
            replace_file(
                again.folder / "tables" / f"{name}.parquet", (first.folder / "tables" / f"{name}.parquet").read_bytes()
            )
        snapshot = {
            name: entry for name, entry in manifest["files"].items() if "/" in name or entry["stage"] == "collect"
        }
        for name in snapshot:
            replace_file(again.folder / name, (first.folder / name).read_bytes())
        again._keep(
            manifest
            | {
                "tables": kept,
                "files": snapshot,
                "stages": {"collect": manifest["stages"]["collect"]},
                "reproduces": first.plan_hash(),
            }
        )
        parameters = {
            name: value for entry in manifest["stages"].values() for name, value in entry.get("parameters", {}).items()
        }
        run(company, cycle, since="demand", parameters=parameters, reports=Path(temporary), progress=progress)
        remade = again.manifest
    different = [
        f"{name}: {'not made again' if name not in remade['tables'] else 'other bytes than the first time'}"
        for name, entry in sorted(made.items())
        if remade["tables"].get(name, {}).get("sha256") != entry["sha256"]
    ]
    different += [
        f"{name}: was not there the first time" for name in sorted(set(remade["tables"]) - set(manifest["tables"]))
    ]
    versions = [
        f"{name} was {version} and is {remade['versions'].get(name)}"
        for name, version in sorted(manifest["versions"].items())
        if remade["versions"].get(name) != version
    ]
    return different, sorted(name for name in made if remade["tables"].get(name) == made[name]), versions
