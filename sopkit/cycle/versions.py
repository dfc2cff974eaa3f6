"""What was signed, published or followed by a later cycle stands: running it again is a new version beside the old."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sopkit.book.signed import must_be_allowed, signatures
from sopkit.cycle import manifest as manifests
from sopkit.errors import SettingsError
from sopkit.files import sha256

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
    shutil.rmtree(half, ignore_errors=True)
    shutil.copytree(cycle.folder, half)
    _protect(half)
    half.rename(kept)  # a kill before this leaves the cycle as it was
    for path in [cycle.folder, *cycle.folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    manifest = {name: value for name, value in cycle.manifest.items() if name != "frozen"}
    manifests.store(cycle.folder, manifest | {"version": number + 1, "again": reason})


def freeze(cycle: Cycle, by: str) -> None:
    """Make an approved, published cycle read-only: nothing in its folder is written any more, its manifest knows all.

    Raises SettingsError for a person who may not publish, and while a question is open.
    """
    from sopkit.decide import is_draft

    must_be_allowed(cycle.read("people"), by, "publish", "publish")
    if is_draft(cycle.read("decision_log")):
        raise SettingsError(
            f"{cycle.company_name} {cycle.cycle} is not published: a question is undecided and the plan is a draft. "
            "Decide first, in notebook 05 or in decisions.yaml."
        )
    manifest, known = cycle.manifest, {f"tables/{name}.parquet" for name in cycle.manifest["tables"]}
    for path in sorted(path for path in cycle.folder.rglob("*") if path.is_file() and path.name[0] != "."):
        name = path.relative_to(cycle.folder).as_posix()
        if name not in known and name not in manifest["files"] and name != manifests.NAME:
            manifest["files"][name] = {"stage": "publish", "sha256": sha256(path)}
    manifests.store(cycle.folder, manifest | {"frozen": {"by": by, "at": manifests.now()}})
    _protect(cycle.folder)
    cycle.records.log("publish", cycle.cycle, cycle=cycle.cycle, author=by, plan_hash=cycle.plan_hash())


def _protect(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
