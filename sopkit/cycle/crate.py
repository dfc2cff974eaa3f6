"""A plan that any archive can read: `ro-crate-metadata.json` of a cycle's folder, made from its manifest.

Each stage is an action with its notebook as instrument, what it read as object and what it wrote as result; software
with its versions, every file with its sha256, who signed and who published, when. Source: RO-Crate 1.1; Process Run
Crate 0.5 of the Workflow Run RO-Crate profiles (the one for several programs after each other).
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd

from sopkit.book.signed import signatures
from sopkit.cycle import manifest as manifests
from sopkit.files import replace_file, sha256
from sopkit.tables import STAGES, TABLES, Stage

if TYPE_CHECKING:
    from sopkit.cycle.cycle import Cycle

NAME = "ro-crate-metadata.json"
CRATE, PROFILE = "https://w3id.org/ro/crate/1.1", "https://w3id.org/ro/wfrun/process/0.5"
KINDS = {
    ".parquet": "application/vnd.apache.parquet",
    ".ipynb": "application/x-ipynb+json",
    ".yaml": "application/yaml",
}


def write(cycle: Cycle, publisher: str = "") -> None:
    """Describe the cycle's folder as a crate, published by `publisher` where it is for good."""
    manifest = cycle.manifest
    if manifest["files"].pop(NAME, None):  # a kill from here on leaves no file that is not as the manifest says
        manifests.store(cycle.folder, manifest)
    text = json.dumps(
        {"@context": f"{CRATE}/context", "@graph": _graph(cycle, manifest, publisher)}, indent=1, ensure_ascii=False
    )
    replace_file(cycle.folder / NAME, f"{text}\n".encode())
    manifest["files"][NAME] = {"stage": "publish", "sha256": sha256(cycle.folder / NAME)}
    manifests.store(cycle.folder, manifest)


def _graph(cycle: Cycle, manifest: Mapping[str, Any], publisher: str) -> list[dict[str, Any]]:
    entries = {f"tables/{name}.parquet": entry for name, entry in manifest["tables"].items()} | manifest["files"]
    files = [_file(name, entry["sha256"]) for name, entry in sorted(entries.items())] + [_file(manifests.NAME)]
    ran = [stage for stage in STAGES if manifest["stages"].get(stage.name, {}).get("state") == "done"]
    notebooks = {stage: next(iter(_notebook(stage, files)), {}) for stage in ran}
    for stage, file in notebooks.items():
        file |= {"@type": ["File", "SoftwareSourceCode"], "name": f"Notebook {stage.notebook}: {stage.question}"}
        file["softwareRequirements"] = _refer(f"#{name}" for name in manifest["versions"])
    programs = [
        {"@id": f"#{name}", "@type": "SoftwareApplication", "name": name, "softwareVersion": version}
        for name, version in sorted(manifest["versions"].items())
    ]
    signed = signatures(cycle.read("sign_offs"), cycle.cycle, manifest)
    signed_by = sorted(
        {*signed.loc[signed["holds"], "author"], *filter(None, _kept(cycle, manifest, "decision_log")["decided_by"])}
    )
    roles = _kept(cycle, manifest, "people").set_index("name")["role"]
    known = [
        {"@id": _person(name), "@type": "Person", "name": name, "jobTitle": str(roles.get(name, ""))}
        for name in dict.fromkeys([*signed_by, *filter(None, [publisher])])
    ]
    actions = [_action(stage, manifest, file.get("@id", "")) for stage, file in notebooks.items()]
    title = f"Sales & Operations Plan of {cycle.company.name}, {cycle.cycle}"
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": title,
        "description": f"{title}: snapshot of its inputs, every table, pack and workbook, and how they were made. "
        f"Plan hash {cycle.plan_hash()}.",
        "datePublished": max(action["endTime"] for action in actions),
        "license": {"@id": "#license"},
        "conformsTo": {"@id": PROFILE},
        "hasPart": _refer(file["@id"] for file in files),
        "mentions": _refer(action["@id"] for action in actions),
    }
    if signed_by:
        root["author"] = _refer(map(_person, signed_by))
    if publisher:
        root["publisher"] = {"@id": _person(publisher)}
    rights = f"The property of {cycle.company.name}; nobody is given a right to it."
    return [
        {"@id": NAME, "@type": "CreativeWork", "conformsTo": {"@id": CRATE}, "about": {"@id": "./"}},
        root,
        {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {"@id": "#license", "@type": "CreativeWork", "name": rights, "description": rights},
        *known, *programs, *actions, *files,
    ]  # fmt: skip


def _kept(cycle: Cycle, manifest: Mapping[str, Any], name: str) -> pd.DataFrame:
    return cycle.read(name) if name in manifest["tables"] else TABLES[name].empty()


def _notebook(stage: Stage, files: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [file for file in files if file["@id"] == f"notebooks/{stage.notebook}"]


def _file(name: str, digest: str = "") -> dict[str, Any]:
    suffix = name[name.rfind(".") :] if "." in name else ""
    kind = KINDS.get(suffix) or mimetypes.guess_type(name)[0] or "text/plain"
    about = {"@id": quote(name), "@type": "File", "name": name, "encodingFormat": kind}
    return about | ({"sha256": digest} if digest else {})


def _action(stage: Stage, manifest: Mapping[str, Any], notebook: str) -> dict[str, Any]:
    entry = manifest["stages"][stage.name]
    read = [name if name.startswith("snapshot/") else f"tables/{name}.parquet" for name in entry["read"]]
    tables = {f"tables/{name}.parquet": one for name, one in manifest["tables"].items()}
    wrote = [name for name, one in (tables | manifest["files"]).items() if one["stage"] == stage.name]
    ended = str(entry.get("written_at") or manifests.now())
    return {
        "@id": f"#stage-{stage.name}",
        "@type": "CreateAction",
        "name": f"Stage {stage.number}, {stage.name}",
        "description": stage.question,
        "instrument": {"@id": notebook or "#sopkit"},
        "object": _refer(quote(name) for name in read if name in tables or name in manifest["files"]),
        "result": _refer(quote(name) for name in wrote if name != f"notebooks/{stage.notebook}"),
        "startTime": str(entry.get("started_at") or ended),
        "endTime": ended,
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }


def _refer(names: Iterable[str]) -> list[dict[str, str]]:
    return [{"@id": name} for name in names]


def _person(name: str) -> str:
    return f"#person-{quote(name, safe='')}"
