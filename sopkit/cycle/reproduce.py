"""Makes a finished plan again from its cycle folder alone, and compares it hash for hash."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sopkit.cycle import manifest as manifests
from sopkit.cycle.cycle import Cycle
from sopkit.cycle.runner import run
from sopkit.errors import StageError
from sopkit.files import replace_file
from sopkit.tables import STAGES


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
            f"Run what is stale first: {first.command('--resume')}."
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
            name: entry
            for name, entry in manifest["files"].items()
            if name.startswith("snapshot/") or entry["stage"] == "collect"
        }
        for name in snapshot:
            replace_file(again.folder / name, (first.folder / name).read_bytes())
        manifests.store(
            again.folder,
            {name: part for name, part in manifest.items() if name != "frozen"}  # a published plan too
            | {
                "tables": kept,
                "files": snapshot,
                "stages": {"collect": manifest["stages"]["collect"]},
                "reproduces": first.plan_hash(),
            },
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
