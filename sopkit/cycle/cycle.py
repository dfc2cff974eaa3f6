"""`Cycle`: one cycle of one company, seen from one of its stages or from none.

A stage reads and writes through it, and it lets nothing pass that is not declared in `sopkit/tables`. Opened without a
stage it reads everything and writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from sopkit.book.signed import must_be_allowed, plan_hash, signatures
from sopkit.cycle import lock as locks
from sopkit.cycle import manifest as manifests
from sopkit.cycle import signatures as attested
from sopkit.cycle.manifest import ANSWERS, RECORD_NAMES
from sopkit.errors import SettingsError, SopkitError, StageError, nearest
from sopkit.files import find_company, from_parquet, is_plain_name, replace_files, reports_root, sha256, to_parquet
from sopkit.tables import (
    BY_NAME,
    PLAN_OF_RECORD,
    STAGES,
    TABLES,
    Company,
    Table,
    load_company,
    parse_cycle,
    table,
    written_by,
)

if TYPE_CHECKING:
    from sopkit.book import Book, Plan
    from sopkit.book.workflow import Item
    from sopkit.records import Records


def command(verb: str, company: str, cycle: str, more: str = "") -> str:
    """The command line that does `verb` with a cycle, for messages."""
    return f"sopkit {verb} --company {company} --cycle {cycle} {more}".strip()


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
        self._read: dict[str, str] = {}  # sha256 of what was read so far
        self._recorded: dict[str, tuple[bytes, dict[str, Any]]] = {}  # records as they were read, for the snapshot
        self._wrote = False
        self._made: dict[str, str] = {}  # sha256 of what was written so far
        self._given: tuple[Any, ...] = ()  # the stage's book, field by field, with what the stage wrote since

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
        kept = stage != "collect" and is_plain_name(company) and (folder / "snapshot" / "company.yaml").is_file()
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
            return load_company(self.company_folder)
        self.file("company.yaml")  # settings count as read: another policy makes another plan
        return load_company(kept)

    @property
    def months(self) -> list[pd.Timestamp]:
        """The planned months, the cycle's own first."""
        return self.company.months(self.cycle)

    @property
    def scenarios(self) -> Path:
        """The company's own scenarios.yaml, to add one to: what stages read is the copy that collect kept."""
        return find_company(self.company_name) / "scenarios.yaml"

    @cached_property
    def records(self) -> Records:
        """What people recorded about this company: overrides, answers, decisions, signatures."""
        from sopkit.records import Records

        return Records.of(self.company_name)

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest as it stands (`sopkit/cycle/manifest.py`); an empty one where nothing was written yet."""
        return manifests.load(self.folder, self.company_name, self.cycle)

    # read ------------------------------------------------------------------------------------------------------

    @property
    def reads(self) -> list[str]:
        """Names of the tables that the stage declared to read."""
        declared = BY_NAME[self.stage].reads if self.stage else ("*",)
        return [name for name in TABLES if TABLES[name].stage != self.stage] if "*" in declared else list(declared)

    def read(self, name: str) -> pd.DataFrame:
        """Table `name` as declared in `sopkit/tables`; an optional table that nobody brought is empty.

        Raises StageError where the stage did not declare to read it, where it is not made yet, or where its file is not
        the one that was written.
        """
        return self._read_from(self.manifest, name)

    def _read_from(self, manifest: dict[str, Any], name: str) -> pd.DataFrame:
        declared = self._declared(name)
        if name not in self.reads and declared.stage != self.stage:
            raise StageError(
                f"Stage {self.stage} does not declare to read {name!r}, only {', '.join(self.reads) or 'nothing'}. "
                f"Add it to the stage in sopkit/tables/stages.py if the stage truly needs it."
            )
        if name in RECORD_NAMES and "reproduces" not in manifest:
            return self._read_record(declared)
        if self.stage in (None, "publish") and manifests.plan_of_record(manifest, name):
            name = f"{PLAN_OF_RECORD}{name}"
        entry = manifest["tables"].get(name)
        if entry is None and (name in RECORD_NAMES or (declared.stage in manifest["stages"] and not declared.required)):
            return declared.empty()
        try:
            content = (self.folder / "tables" / f"{name}.parquet").read_bytes() if entry else None
        except FileNotFoundError:
            content = None
        if content is None:
            raise self._not_made(f"table {name}", declared.stage)
        if sha256(content) != entry["sha256"]:
            raise StageError(
                f"{self.folder / 'tables' / name}.parquet is not the file that stage {entry['stage']} wrote: its "
                f"sha256 is not the manifest's. Make it again: {self.command('--from ' + entry['stage'])}."
            )
        if entry["stage"] != self.stage:
            self._read[name] = entry["sha256"]
        try:
            frame = from_parquet(content)
        except (ValueError, OSError):  # the manifest was changed with it
            raise StageError(f"{self.folder / 'tables' / name}.parquet is no table. {manifests.REMAKE}") from None
        # these very bytes were checked when they were written; again only if the declaration has changed since
        return frame if entry.get("declared") == manifests.declaration_hash(declared) else declared.check(frame)

    def _read_record(self, declared: Table) -> pd.DataFrame:
        frame = declared.check(self.records.read(declared.name, cycle=self.cycle))
        content = to_parquet(declared, frame)
        self._read[declared.name] = sha256(content)
        self._recorded[declared.name] = content, manifests.table_entry("records", declared, content, len(frame))
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
    def given(self) -> Book:
        """`book` as it was last asked for: nothing is read again."""
        from sopkit.book import Book

        return Book(*(self._given or self._asked()))

    @property
    def plan(self) -> Plan:
        """The cycle's plan as a value that can be asked, changed and compared; `book` with what was planned on it."""
        from sopkit.book import Plan

        return replace(Plan(*self._asked()), title=f"Plan of {self.cycle}")

    @property
    def kept(self) -> Book | None:
        """What the stage wrote when it last ran, beside what it read then: `plan(c.book, kept=c.kept)` starts from it.

        Only what the manifest proves counts as unchanged: a table that is another one today has no content here, so it
        equals nothing. None where the stage never ran, or where settings, the package or a library are others today.
        """
        from sopkit.book import Book

        tables, *rest = self._given or self._asked()
        manifest = self.manifest
        entry = manifest["stages"].get(self.stage, {})
        then, now = entry.get("read", {}), self._read
        wrote = [name for name, one in manifest["tables"].items() if one["stage"] == self.stage]
        if not wrote or entry.get("code") != manifests.code_hash():
            return None
        if then.get("snapshot/company.yaml") != now.get("snapshot/company.yaml"):
            return None
        other = pd.DataFrame({"changed since": []})
        read = {name: frame if then.get(name) == now.get(name) else other for name, frame in tables.items()}
        try:
            return Book({**read, **{name: self.read(name) for name in wrote}}, *rest)
        except StageError:  # a file is not the one that was written: the stage makes everything again
            return None

    @property
    def before_the_meeting(self) -> Plan:
        """The plan without what was adopted: what scenarios, options and the next what-if start from."""
        name, reports = self.company_name, self.folder.parents[1]
        return Cycle.open(name, self.cycle, stage="reconcile", reports=reports).plan

    def _asked(self) -> Any:
        from sopkit.book import load_questions, load_scenarios

        asked = BY_NAME[self.stage].settings if self.stage else ("scenarios.yaml", "decisions.yaml")
        scenarios = load_scenarios(self.file("scenarios.yaml")) if "scenarios.yaml" in asked else {}
        questions = load_questions(self.answers("decisions.yaml")) if "decisions.yaml" in asked else []
        manifest = self.manifest
        if not self.stage and not manifest["tables"]:
            raise self._not_made("the plan", "collect")
        there = self.reads if self.stage else [n for n in self.reads if n in RECORD_NAMES or n in manifest["tables"]]
        tables = {name: self._read_from(manifest, name) for name in there}
        if self.stage in (None, "publish") and manifest["stages"]:
            manifest["stale"] = self.stale()  # whoever shows where the stages stand shows this too
        self._given = (tables, self.company, self.cycle, scenarios, questions, manifest)
        return self._given

    def others(self) -> list[Cycle]:
        """The company's other cycles that were run, in order of their months."""
        found = sorted(path.parent.name for path in self.folder.parent.glob(f"????-??/{manifests.NAME}"))
        reports = self.folder.parents[1]
        return [Cycle.open(self.company_name, name, reports=reports) for name in found if name != self.cycle]

    def earlier(self, name: str) -> pd.DataFrame:
        """Table `name` as the earlier cycles of the company kept it, one below the other; empty where none did."""
        kept = [one.read(name) for one in self.others() if one.cycle < self.cycle and name in one.manifest["tables"]]
        return pd.concat(kept, ignore_index=True) if kept else self._declared(name).empty()

    def carried(self) -> dict[str, pd.DataFrame]:
        """What earlier cycles left for this one, by the input table it belongs to: their forecasts, overrides, plans.

        `last_supply_plan` is the supply plan of the last earlier cycle that was published, `commitments` what that one
        leaves to be kept, `closings` what people recorded about those.
        """
        from sopkit.book import commitments
        from sopkit.collect import collected
        from sopkit.cycle import followup

        published = [
            one for one in self.others() if one.cycle < self.cycle and "frozen_plans" in one.manifest["tables"]
        ]
        last, *left = (
            published[-1].read(name) if published and name in published[-1].manifest["tables"] else TABLES[name].empty()
            for name in ("supply_plan", "commitments", "adopted")
        )
        return {
            "past_forecasts": self.earlier("frozen_forecasts"),
            "past_overrides": collected.moved(self.earlier("override_effects")),
            "past_plans": self.earlier("frozen_plans"),
            "declared_assumptions": self.read("declared_assumptions"),
            "commitments": commitments.passed_on(*left),
            **followup.left(self),
            "closings": self.read("closings"),
            "last_supply_plan": last.groupby(list(TABLES["last_supply_plan"].key), as_index=False)["quantity"].sum(),
        }

    def file(self, name: str) -> Path:
        """A settings file of the company (`scenarios.yaml`) as collect kept it in the folder; it may not exist."""
        path = self.folder / "snapshot" / name
        if path.is_file():
            self._read[f"snapshot/{name}"] = sha256(path)
        return path

    def answers(self, name: str = "decisions.yaml") -> Path:
        """A file in which people answer, as it stands when the stage asks; a copy is kept; it may not exist."""
        if self._source is not None and self.stage is not None and not self.manifest.keys() & {"reproduces", "frozen"}:
            with self._changing() as manifest:
                self._keep(manifest, self._snapshot(manifest, {name}))
        return self.file(name)

    # write -----------------------------------------------------------------------------------------------------

    def write(self, name: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Check `frame` and keep it as table `name`; returns it as kept (declared columns and dtypes, sorted by key).

        Raises StageError where the stage does not write that table, FindingsError where a cell breaks the declaration.
        """
        return self.save({name: frame})[name]

    def save(self, frames: Mapping[str, pd.DataFrame], *, anew: bool = False) -> Plan:
        """Check all `frames` (name -> frame), then keep them all; nothing is written where one of them is wrong.

        Returns them as a plan, on top of the book that the stage asked for: what its figures are made from.
        The first save of a stage, and one `anew`, replaces everything that the same stage left before.
        """
        if self.stage is None:
            raise StageError("A cycle opened without a stage is for reading. Open it with stage=... to write.")
        locks.refuse_beside_a_run(self.folder, f"{self.company_name} {self.cycle}")
        self._must_not_be_frozen()
        mine = written_by(self.stage)
        for name in frames:
            # the plan of record has the same tables as any plan, under names of its own
            if name not in mine and not (self.stage == "decide" and name.startswith(PLAN_OF_RECORD)):
                owner = self._declared(name).stage
                raise StageError(
                    f"Stage {self.stage} does not write {name!r}, stage {owner} does. It writes {', '.join(mine)}."
                )
        declared = {name: self._declared(name.removeprefix(PLAN_OF_RECORD)) for name in frames}
        checked = {name: declared[name].check(frame) for name, frame in frames.items()}
        contents = {name: to_parquet(declared[name], frame) for name, frame in checked.items()}
        files = dict[str, bytes | None]()
        with self._changing() as manifest:
            if not self._wrote or anew:
                for name in [name for name, entry in manifest["tables"].items() if entry["stage"] == self.stage]:
                    del manifest["tables"][name]
                    files[f"tables/{name}.parquet"] = None
                if self.stage == "collect":
                    files |= self._snapshot(
                        manifest, {path.name for path in self.company_folder.glob("*.yaml")} - ANSWERS
                    )
            for name, content in contents.items():
                files[f"tables/{name}.parquet"] = content
                entry = manifests.table_entry(self.stage, declared[name], content, len(checked[name]))
                manifest["tables"][name], self._made[name] = entry, entry["sha256"]
            self._store(manifest, files)
        self._wrote = self._wrote or bool(frames)
        from sopkit.book import Plan

        tables, *rest = self._given or ({}, self.company, self.cycle)
        self._given = (
            {**tables, **{name.removeprefix(PLAN_OF_RECORD): frame for name, frame in checked.items()}},
            *rest,
        )
        return Plan(*self._given)

    def write_file(self, name: str, content: str | bytes | None) -> Path:
        """Keep a file that is no table (`plan.html`) in the folder, its sha256 in the manifest; None takes it away."""
        if not is_plain_name(name) or name == manifests.NAME or self.stage is None:
            raise StageError(f"{name!r} is no file that a stage may write: give a plain file name.")
        self._must_not_be_frozen()
        content = content.encode() if isinstance(content, str) else content
        with self._changing() as manifest:
            manifest["files"].pop(name, None)
            if content is not None:
                manifest["files"][name] = {"stage": self.stage, "sha256": sha256(content)}
            self._store(manifest, {name: content})
        return self.folder / name

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """The manifest as it stands, which nobody else changes meanwhile."""
        with locks.writing(self.folder):
            yield self.manifest

    def _must_not_be_frozen(self) -> None:
        if "frozen" in self.manifest:
            again = self.command("--again REASON")
            raise StageError(
                f"{self.folder} is published and frozen: nothing in it is changed. A correction is: {again}."
            )

    def _snapshot(self, manifest: dict[str, Any], names: Collection[str]) -> dict[str, bytes | None]:
        """Note the company's settings `names` in `manifest`; what is to be kept of each, None = nothing any more."""
        source, files = cast(Path, self._source), dict[str, bytes | None]()
        for name in sorted(names):
            key, content = f"snapshot/{name}", (source / name).read_bytes() if (source / name).is_file() else None
            files[key] = content
            manifest["files"].pop(key, None)
            if content is not None:
                manifest["files"][key] = {"stage": "collect", "sha256": sha256(content)}
        return files

    def _keep(self, manifest: Mapping[str, Any], files: Mapping[str, bytes | None]) -> None:
        """Keep `files` (name -> content, None = remove) and the `manifest` that names them, or neither."""
        contents = {self.folder / name: content for name, content in files.items()}
        replace_files({**contents, self.folder / manifests.NAME: manifests.sealed(manifest)})

    def _store(self, manifest: dict[str, Any], files: Mapping[str, bytes | None]) -> None:
        # what was recorded when the stage ran joins the snapshot: the plan can be made again without the database
        recorded = {f"tables/{name}.parquet": content for name, (content, _) in self._recorded.items()}
        manifest["tables"] |= {name: entry for name, (_, entry) in self._recorded.items()}
        manifest["versions"] = manifests.versions()
        entry = manifest["stages"].setdefault(self.stage, {})
        entry |= {"read": dict(sorted(self._read.items())), "written_at": manifests.now()}
        entry["code"] = manifests.code_hash()
        if "reproduces" not in manifest:
            entry["log_head"] = self.records.head()
        if entry.get("state") != "running":
            entry["state"] = "done"
        self._keep(manifest, {**files, **recorded})

    # what stands, what is stale, who signed ----------------------------------------------------------------------

    def plan_hash(self, stage: str = "publish") -> str:
        """One sha256 over all tables that the stages up to and including `stage` wrote: what a signature signs."""
        return plan_hash(self.manifest, stage)

    def seen(self) -> dict[str, str]:
        """The sha256 of every table as this one last read or wrote it: what its figures can be of."""
        return {name: sha for name, sha in {**self._read, **self._made}.items() if name not in RECORD_NAMES}

    def stale(self, *, saved: Collection[str] = ()) -> dict[str, str]:
        """Stages whose result no longer fits what it was made from, with the reason; in the order of the stages.

        Stages that are `saved` run and only show what they made: they count as done.
        """
        manifest = self.manifest
        for stage in saved:
            manifest["stages"][stage] |= {"state": "done", "source": None}

        @cache  # several stages read the same records
        def current(name: str) -> str | None:
            file = Path(name).name
            if name.startswith("snapshot/") and file in ANSWERS and self._source is not None:
                return sha256(self._source / file) if (self._source / file).is_file() else None
            if name in RECORD_NAMES and "reproduces" not in manifest:
                return sha256(to_parquet(TABLES[name], TABLES[name].check(self.records.read(name, cycle=self.cycle))))
            return (manifest["tables"].get(name) or manifest["files"].get(name) or {}).get("sha256")

        return manifests.stale(manifest, current, self._source)

    def verify(self, head: str = "") -> list[str]:
        """What does not fit between the folder, its manifest and the event log; nothing = all is as it was written.

        `head`: a head of the event log that somebody kept, for example with a pack; the log must contain it.
        Raises SettingsError for what can be no head.
        """
        if head and not re.fullmatch("[0-9a-f]{64}", head := head.strip().casefold()):
            raise SettingsError(f"{head!r} is no head of an event log: give the 64 letters and digits of the pack.")
        unsealed = manifests.broken_seal(self.folder)
        try:
            manifest = self.manifest
            wrong = manifests.changed(self.folder, manifest)
        except (StageError, OSError) as error:
            return unsealed or [str(error)]
        if not manifest["stages"]:
            return unsealed or [f"{self.folder} holds no cycle that was run"]
        wrong = unsealed + wrong
        if "reproduces" not in manifest:
            damaged = self.records.verify()
            events = pd.DataFrame(columns=["sha256"]) if damaged else self.records.events()
            log = {*events["sha256"], ""}
            wrong += damaged or manifests.unlogged(manifest, events)
            wrong += [] if damaged else attested.broken(self, log)
            if head not in log:
                wrong.append(f"the event log of {self.company_name} does not contain {head}: {manifests.CUT}")
        return wrong

    def status(self) -> pd.DataFrame:
        """One row a stage: state, when written, seconds, who signed it as it stands, why stale, due, what is open."""
        manifest, stale, runs = self.manifest, self.stale(), locks.holder(self.folder)
        signed = signatures(self.records.read("sign_offs", cycle=self.cycle), self.cycle, manifest)
        rows = []
        for stage in STAGES:
            entry, mine = manifest["stages"].get(stage.name, {}), signed[signed["stage"] == stage.name]
            if runs and entry.get("state") == "running":
                stale[stage.name] = f"runs: {runs}"
            holds = sorted(mine.loc[mine["holds"], "author"])
            lapsed = sorted(f"({name}, before a change)" for name in mine.loc[~mine["holds"], "author"])
            rows.append(
                {
                    "stage": stage.name,
                    "state": entry.get("state", "-") if stage.name not in stale or runs else "stale",
                    "written": entry.get("written_at", "-"),
                    "seconds": entry.get("seconds", "-"),
                    "signed by": ", ".join([*holds, *lapsed]) or "-",
                    "why stale": stale.get(stage.name, ""),
                    **(self._waits(stage.name) if entry else {"due": "-", "not true yet": ""}),
                }
            )
        return pd.DataFrame(rows)

    def _waits(self, stage: str) -> dict[str, str]:
        """By which day a stage is to be signed, and what of its checklist is not true yet."""
        from sopkit.book import workflow

        try:
            wrong, day = self.untrue(stage), workflow.due(self.company, self.cycle, stage)
        except SopkitError as error:
            return {"due": "-", "not true yet": str(error).splitlines()[0]}
        left = "; ".join(item.what for item in wrong)
        return {"due": f"{day:%Y-%m-%d}" if pd.notna(day) else "-", "not true yet": left}

    def untrue(self, stage: str) -> list[Item]:
        """What of a stage's checklist (`book.workflow`) is not true yet: computed from its tables, or not ticked."""
        from sopkit.book import Book, workflow

        tables = {name: self.read(name) for name in workflow.READS if name in self.manifest["tables"]}
        tables["ticks"] = self.records.read("ticks", cycle=self.cycle)
        book = Book(tables, self.company, self.cycle)
        return [item for item in workflow.checklist(book, stage) if not item.holds]

    def sign(self, stage: str, *, by: str, note: str = "", because: str = "") -> int:
        """Record that `by` signs `stage` exactly as its tables are now; returns the record's number.

        Where its checklist is not true, only `because` of something, which is recorded with what is not true. Raises
        SettingsError for an unknown stage or a person who may not sign it, StageError where the stage is stale or its
        checklist is not true.
        """
        if stage not in BY_NAME:
            raise SettingsError(f"no stage {stage!r}: {nearest(stage, BY_NAME)}")
        must_be_allowed(self.read("people"), by, stage, f"sign {stage}")
        stale = self.stale()
        if stage in stale:
            raise StageError(
                f"Stage {stage} cannot be signed, it is stale: {stale[stage]}. Run first: {self.command('--resume')}."
            )
        if wrong := "; ".join(item.missing for item in self.untrue(stage)):
            if not because.strip():
                raise StageError(
                    f"Stage {stage} cannot be signed, {wrong}. Make it true, or say why it is signed all the same: "
                    f"{command('sign', self.company_name, self.cycle, f'{stage} --because REASON')}."
                )
            note = f"{note} Signed because {because.strip()}, though {wrong}.".strip()
        return self.records.add(
            "sign_offs", author=by, cycle=self.cycle, stage=stage, note=note, plan_hash=self.plan_hash(stage)
        )

    def mark(self, stage: str, state: str, **more: Any) -> None:
        """Note in the manifest that `stage` is `running`, `done` or `failed`, with parameters, seconds and the like."""
        with self._changing() as manifest:
            entry = manifest["stages"].setdefault(stage, {"read": {}})
            entry.update(more, state=state)
            for path in sorted((self.folder / "notebooks").glob(f"[0-9][0-9]_{stage}.ipynb")):
                name = f"notebooks/{path.name}"
                manifest["files"].pop(name, None)
                if state == "done":
                    manifest["files"][name] = {"stage": stage, "sha256": sha256(path)}
            if state == "done" and stage == "collect" and self._source is not None:
                entry["source"] = manifests.source_hash(self._source)
            if state != "running" and "reproduces" not in manifest:
                noted = {"plan_hash": plan_hash(manifest, stage), "own_hash": plan_hash(manifest, stage, alone=True)}
                noted["state"] = state
                self.records.log("stage", stage, cycle=self.cycle, author="runner", **noted)
            manifests.store(self.folder, manifest)

    # for people ------------------------------------------------------------------------------------------------

    def command(self, more: str = "") -> str:
        """The command line that runs this cycle, for messages."""
        return command("run", self.company_name, self.cycle, more)

    def _about(self) -> tuple[str, pd.DataFrame, str]:
        """Title, one row a stage, and what to call next; never raises, also where the folder is damaged."""
        seen = f"stage {self.stage}" if self.stage else "no stage: reads everything, writes nothing"
        title = f"Cycle {self.cycle} of {self.company_name} ({seen})"
        try:
            status, manifest = self.status(), self.manifest
        except SopkitError as error:
            return title, pd.DataFrame(), str(error)
        made = pd.Series([entry["stage"] for entry in manifest["tables"].values()], dtype=str).value_counts()
        status["tables"] = status["stage"].map(made).fillna(0).astype(int)
        following = f"c.read({(self.reads or ['name'])[0]!r}), c.tables(), c.status(), c.stale()"
        following += ", c.save({name: frame})" if self.stage else ""
        return title, status[["stage", "state", "tables", "signed by", "why stale"]], f"next: {following}"

    def __repr__(self) -> str:
        title, status, following = self._about()
        return f"{title}\n{status.to_string(index=False, justify='left')}\n{following}"

    def _repr_html_(self) -> str:
        title, status, following = self._about()
        return f"<b>{escape(title)}</b>{status.to_html(index=False, border=0)}<code>{escape(following)}</code>"

    def _declared(self, name: str) -> Table:
        try:
            return table(name)
        except KeyError as error:
            raise StageError(error.args[0]) from None

    def _not_made(self, what: str, stage: str) -> StageError:
        return StageError(
            f"{what} of {self.company_name} {self.cycle} is not made yet: stage {stage} writes it. "
            f"Run it first: {self.command('--only ' + stage)}."
        )
