"""The manifest of a cycle (`manifest.json`): what was made from what; hence what is stale, and what was changed since.

It holds the sha256 of every table and file, and for each stage what it read when it ran, with which parameters and
versions. A plain dictionary: `tables` and `files` (name -> entry), `stages` (name -> entry), `versions`.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from sopkit.book.signed import plan_hash
from sopkit.errors import StageError
from sopkit.files import replace_file, sha256
from sopkit.tables import BY_NAME, PLAN_OF_RECORD, RECORDS, STAGES, Stage, Table
from sopkit.version import __version__

RECORD_NAMES = frozenset(record.name for record in RECORDS)
# what people answer is taken when it is needed, everything else of a company when `collect` runs
ANSWERS = frozenset({"decisions.yaml"})
LIBRARIES = "altair highspy numpy pandas pandera papermill pyarrow pyomo scipy statsforecast".split()
NAME, SIGNATURES = "manifest.json", "signatures"
CUT = "it was cut, rewritten, or an older copy was put in its place. Bring back the copy that was last in use"
SEAL = b'\n "seal": "'
STATES = ("running", "done", "failed")
REMAKE = "Bring back a copy, or remove the file and run the cycle again."


def load(folder: Path, company: str, cycle: str) -> dict[str, Any]:
    """The manifest in `folder`; an empty one where nothing was written yet. StageError where it cannot be read."""
    try:
        manifest = json.loads((folder / NAME).read_bytes())
    except FileNotFoundError:
        return {"company": company, "cycle": cycle, "tables": {}, "files": {}, "stages": {}}
    except ValueError as error:
        raise StageError(f"{folder / NAME} is not readable ({error}). {REMAKE}") from None
    if not _is_whole(manifest):
        raise StageError(f"{folder / NAME} is no manifest of a cycle: parts of it are missing. {REMAKE}")
    manifest.pop("seal", None)
    return manifest


def _is_whole(manifest: Any) -> bool:
    """Whether what was read is a manifest: every part there, and of its kind."""
    if not isinstance(manifest, dict):
        return False
    parts = [manifest.get(name) for name in ("tables", "files", "stages")]
    if not all(isinstance(part, dict) and all(isinstance(one, dict) for one in part.values()) for part in parts):
        return False
    tables, files, stages = (part or {} for part in parts)
    if not isinstance(manifest.get("cycle"), str) or not isinstance(manifest.get("frozen", {}), dict):
        return False
    kept = all(
        isinstance(one.get(name), str) for one in (*tables.values(), *files.values()) for name in ("stage", "sha256")
    )
    return kept and all(isinstance(one.get("read", {}), dict) and one.get("state") in STATES for one in stages.values())


def broken_seal(folder: Path) -> list[str]:
    """What shows that not every byte of the manifest in `folder` is as it was written; nothing = all are."""
    try:
        content = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return []
    at = content.find(SEAL)
    if at < 0:
        return [f"{NAME} is not the file that was written: its seal is gone"]
    start = at + len(SEAL)
    sealed = content[:start] + b"0" * 64 + content[start + 64 :]
    whole = content[start : start + 64] == sha256(sealed).encode()
    return [] if whole else [f"{NAME} is not the file that was written: its seal does not hold"]


def store(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Keep `manifest` in `folder`, in one step."""
    replace_file(folder / NAME, sealed(manifest))


def sealed(manifest: Mapping[str, Any]) -> bytes:
    """The content of `manifest.json`."""
    text = json.dumps({**manifest, "seal": "0" * 64}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    content = text.encode()
    at = content.index(SEAL) + len(SEAL)
    # one sha256 over all bytes, with zeros in its own place: a reader sees manifest and seal in one step
    return content[:at] + sha256(content).encode() + content[at + 64 :]


def now() -> str:
    """This moment in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def versions() -> dict[str, str]:
    """The versions of Python, sopkit and the libraries that a plan's numbers hang on."""
    found = {"python": platform.python_version(), "sopkit": __version__}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


@cache
def code_hash() -> str:
    """One sha256 over the package's own files, as this process found them, and the versions its numbers hang on."""
    package = Path(__file__).parents[1]
    files = [f"{path.relative_to(package).as_posix()} {sha256(path)}\n" for path in sorted(package.rglob("*.py"))]
    return sha256("".join([*files, json.dumps(versions(), sort_keys=True)]).encode())


@cache
def declaration_hash(declared: Table) -> str:
    """A short hash of all that a table's declaration says."""
    return sha256(repr(declared).encode())[:16]


def source_hash(folder: Path) -> str:
    """One sha256 over all that the mapping of the company in `folder` reads; of its settings only if they are wrong."""
    from sopkit.collect import files_read

    return sha256("".join(f"{name} {sha256(path)}\n" for name, path in files_read(folder).items()).encode())


def table_entry(stage: str, declared: Table, content: bytes, rows: int) -> dict[str, Any]:
    """What the manifest says about a table that `stage` kept as `content`."""
    return {"stage": stage, "sha256": sha256(content), "rows": rows, "declared": declaration_hash(declared)}


def plan_of_record(manifest: Mapping[str, Any], name: str) -> bool:
    """Whether table `name` of the plan of record differs from the base's, and was made from what stands now."""
    tables = manifest["tables"]
    if f"{PLAN_OF_RECORD}{name}" not in tables:
        return False
    read = manifest["stages"].get("decide", {}).get("read", {})
    made_from = {one: seen for one, seen in read.items() if one in tables and one not in RECORD_NAMES}
    return all(tables[one]["sha256"] == seen for one, seen in made_from.items())


def stale(manifest: Mapping[str, Any], current: Callable[[str], str | None], source: Path | None) -> dict[str, str]:
    """Stages whose result no longer fits what it was made from, with the reason; in the order of the stages.

    `current` gives the sha256 of a table or file as it stands now; `source` is the company's folder or None.
    """
    found: dict[str, str] = {}
    for stage in STAGES:
        if reason := _why_stale(stage, manifest, current, source) or _made_from_stale(stage, manifest, found):
            found[stage.name] = reason
    return found


def _why_stale(
    stage: Stage, manifest: Mapping[str, Any], current: Callable[[str], str | None], source: Path | None
) -> str:
    entry = manifest["stages"].get(stage.name)
    if entry is None:
        return "not run yet"
    if entry["state"] != "done":
        return {"failed": "failed", "running": "was interrupted"}[entry["state"]]
    if stage.name == "collect" and source is not None and entry.get("source") not in (None, source_hash(source)):
        return f"the files in {source.name}/ changed"
    for name, seen in entry["read"].items():
        # a signature is about the tables; it changes none
        if name != "sign_offs" and seen != current(name):
            return f"{name}: something new was recorded" if name in RECORD_NAMES else f"{name} changed"
    return ""


def _made_from_stale(stage: Stage, manifest: Mapping[str, Any], found: Mapping[str, str]) -> str:
    read = manifest["stages"][stage.name]["read"]
    makers = {manifest["tables"][name]["stage"] for name in read if name in manifest["tables"]}
    return next((f"{maker} is stale" for maker in sorted(makers) if maker in found), "")


def changed(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """What in `folder` is not as the manifest says: files missing, changed, or unknown to it."""
    wrong = []
    expected = {f"tables/{name}.parquet": entry for name, entry in manifest["tables"].items()} | manifest["files"]
    for name, entry in sorted(expected.items()):
        path = folder / name
        if not path.is_file():
            wrong.append(f"{name} is missing")
        elif sha256(path) != entry["sha256"]:
            wrong.append(f"{name} is not the file that stage {entry['stage']} wrote")
    # a frozen cycle holds what its manifest names, and nothing beside it but the signatures, which vouch for themselves
    found = files_in(folder) if "frozen" in manifest else files_in(folder / "tables", folder)
    found = [name for name in found if name != NAME and not name.startswith(f"{SIGNATURES}/")]
    return wrong + [f"{name} is not in the manifest" for name in found if name not in expected]


def files_in(folder: Path, root: Path | None = None) -> list[str]:
    """Names of all files below `folder` that are not hidden, as the manifest in `root` writes them."""
    found = (path.relative_to(root or folder) for path in sorted(folder.rglob("*")) if path.is_file())
    return [path.as_posix() for path in found if path.name[0] != "."]


def last_head(manifest: Mapping[str, Any]) -> str:
    """The head of the event log when the cycle was published, or last written; empty where it had none."""
    written = sorted(manifest["stages"].values(), key=lambda entry: str(entry.get("written_at", "")))
    heads = [str(entry.get("log_head", "")) for entry in (*written, manifest.get("frozen", {}))]
    return next((head for head in reversed(heads) if head), "")


def unlogged(manifest: Mapping[str, Any], events: pd.DataFrame) -> list[str]:
    """What the event log (`Records.events()`) does not know: stages with other tables, heads that it once had."""
    wrong, log = [], {*events["sha256"], ""}
    for place, entry in {**manifest["stages"], "publish, when it was frozen": manifest.get("frozen", {})}.items():
        if str(entry.get("log_head", "")) not in log:
            wrong.append(f"the event log does not contain the head that {NAME} names at stage {place}: {CUT}")
    events = events[(events["kind"] == "stage") & (events["cycle"] == manifest["cycle"])]
    for stage in manifest["stages"]:
        if stage not in BY_NAME:
            wrong.append(f"{NAME} names a stage {stage!r}, which does not exist")
            continue
        logged = events[events["name"] == stage]
        if logged.empty:
            wrong.append(f"the event log does not know that stage {stage} ran")
            continue
        noted = json.loads(logged.iloc[-1]["body"])
        # a stage that ran again may leave one after it as it is: what that one wrote is held against its own entry
        alone = "own_hash" in noted
        if noted["own_hash" if alone else "plan_hash"] != plan_hash(manifest, stage, alone=alone):
            which = "of" if alone else "up to"
            wrong.append(f"the tables {which} stage {stage} are not those that the event log saw when it ran")
    return wrong
