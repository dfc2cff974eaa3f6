"""What was signed, published or followed by a later cycle stands: running it again is a new version beside the old."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sopkit.book.signed import must_be_allowed, signatures
from sopkit.cycle import crate
from sopkit.cycle import manifest as manifests
from sopkit.cycle import signatures as attested
from sopkit.errors import SettingsError
from sopkit.files import replace_file, sha256

if TYPE_CHECKING:
    from sopkit.cycle.cycle import Cycle


def why_it_stands(cycle: Cycle, stages: Iterable[str]) -> str:
    """Why `stages` of a cycle that was run are not simply run again; empty where they may be."""
    manifest = cycle.manifest
    if not manifest["stages"] or "reproduces" in manifest:
        return ""
    if frozen := manifest.get("frozen"):
        return f"{frozen['by']} published it on {frozen['at'][:10]} and it is frozen"
    later = [one.cycle for one in cycle.others() if one.cycle > cycle.cycle]
    if later:
        return f"{later[0]} was planned after it and stands on it"
    signed = signatures(cycle.records.read("sign_offs", cycle=cycle.cycle), cycle.cycle, manifest)
    # publishing again is how a signature comes into the pack
    held = signed[signed["holds"] & signed["stage"].isin(set(stages) - {"publish"})]
    return "; ".join(f"{row.author} signed stage {row.stage} as it is" for row in held.itertuples())


def begin(cycle: Cycle, stages: list[str], again: str) -> None:
    """Raises SettingsError where `stages` stand and nobody says why to run them `again`.

    With a reason the folder as it is becomes `<cycle>.v1`, `.v2` ... beside it, read-only, and the cycle goes on as the
    next version.
    """
    why = why_it_stands(cycle, stages) if stages else ""
    if why and not again.strip():
        raise SettingsError(
            f"{cycle.company_name} {cycle.cycle} was left as it is: {why}. To make a new version beside it, say why: "
            f"{cycle.command('--again REASON')}."
        )
    if again.strip() and cycle.manifest["stages"]:
        _set_aside(cycle, again.strip())


def _set_aside(cycle: Cycle, reason: str) -> None:
    number = int(cycle.manifest.get("version", 1))
    kept = cycle.folder.with_name(f"{cycle.folder.name}.v{number}")
    half = kept.with_name(f"{kept.name}.part")
    if not kept.exists():  # else a kill came between the copy and the next version
        if half.exists():
            _allow(half)
            shutil.rmtree(half)
        try:
            shutil.copytree(cycle.folder, half)
        except shutil.Error as error:
            _, place, why = error.args[0][0]
            raise SettingsError(f"{place} cannot be written: {why}. {cycle.folder} stands as it was.") from None
        _protect(half)
        half.rename(kept)  # a kill before this leaves the cycle as it was
    _allow(cycle.folder)
    manifest = {name: value for name, value in cycle.manifest.items() if name != "frozen"}
    manifests.store(cycle.folder, manifest | {"version": number + 1, "again": reason})


def freeze(cycle: Cycle, by: str, key: Path | None = None) -> Path | None:
    """Make an approved, published cycle read-only: nothing in its folder is written any more, its manifest knows all.

    With the `key` of `by` it is signed; the statement's path. A kill at any moment leaves it unfrozen or frozen; the
    same call again then finishes what is left to do, and says nothing twice to the event log.
    Raises SettingsError for a person who may not publish, and while a question is open.
    """
    from sopkit.decide import is_draft

    must_be_allowed(cycle.read("people"), by, "publish", "publish")
    log, version = cycle.read("decision_log"), cycle.manifest.get("version", 1)
    if is_draft(log):
        raise SettingsError(
            f"{cycle.company_name} {cycle.cycle} is not published: a question is undecided and the plan is a draft. "
            "Decide first, in notebook 05 or in decisions.yaml."
        )
    body = {"plan_hash": cycle.plan_hash(), "version": version}
    events = cycle.records.events(kind="publish", cycle=cycle.cycle)
    numbers = [row.number for row in events.itertuples() if row.author == by and json.loads(row.body) == body]
    number = numbers[-1] if numbers else cycle.records.log("publish", cycle.cycle, cycle=cycle.cycle, author=by, **body)
    if "frozen" not in cycle.manifest:
        crate.write(cycle, by)
        manifest = cycle.manifest
        replace_file(cycle.folder / attested.SIGNERS, attested.signers(cycle))
        known = {f"tables/{name}.parquet" for name in manifest["tables"]} | {manifests.NAME}
        for name in sorted({*manifests.files_in(cycle.folder)} - known - manifest["files"].keys()):
            if not name.startswith(f"{attested.FOLDER}/"):
                manifest["files"][name] = {"stage": "publish", "sha256": sha256(cycle.folder / name)}
        manifest["files"][attested.SIGNERS] = {"stage": "publish", "sha256": sha256(cycle.folder / attested.SIGNERS)}
        at = {"by": by, "at": manifests.now(), "log_head": cycle.records.head()}
        manifests.store(cycle.folder, manifest | {"frozen": at})
    decided = log[["question", "option", "reason", "decided_by", "owner"]].to_dict("records")
    path = None
    if key is not None:
        path = attested.attest(cycle, attested.PUBLISHED, by=by, number=number, key=key, decision=decided)
    _protect(cycle.folder)
    return path


def half_frozen(cycle: Cycle, by: str) -> bool:
    """Whether `by` froze the cycle, and a kill kept its folder from becoming read-only."""
    return bool(by) and cycle.manifest.get("frozen", {}).get("by") == by and bool(cycle.folder.stat().st_mode & 0o222)


def _protect(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def _allow(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
