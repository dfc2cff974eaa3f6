"""A published folder is a crate that any archive can read: valid by a third party's validator, and true."""

from __future__ import annotations

import json
import shutil
import socket
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pandas as pd
import pytest

from sopkit.cycle import Cycle, crate, versions
from sopkit.files import sha256
from sopkit.tables import STAGES, TABLES

DEFAULTS = {"text": "x", "choice": "approved", "number": 1.0, "whole": 1, "month": "2026-11"}


@pytest.fixture
def published(acme: Path) -> Path:
    """A cycle in which every stage ran, with its notebooks, that Greta published; its names need care in an address."""
    (acme / "company.yaml").write_text("name: Acme & Söhne <b>\nhorizon: 3\n")
    people = pd.DataFrame({"name": ["Greta Holm"], "role": ["director"], "may_sign": ["collect publish"]})
    row = {column.name: DEFAULTS[column.kind] for column in TABLES["decision_log"] if column.required}
    decided = pd.DataFrame([row | {"status": "approved", "decided_by": "Ada / Brandt #1"}])
    wrote = {
        "collect": {"families": pd.DataFrame({"family": ["TENTS"], "name": ["Tents"]}), "people": people},
        "decide": {"decision_log": decided},
    }
    for stage in STAGES:
        c = Cycle.open("acme", "2026-11", stage=stage.name)
        if stage.name != "collect":
            c.read("families" if "families" in c.reads else "sites")
        c.save(wrote.get(stage.name, {}))
        if stage.name == "publish":
            c.write_file("plan 100%.html", "<p>plan</p>")
        (c.folder / "notebooks").mkdir(exist_ok=True)
        (c.folder / "notebooks" / stage.notebook).write_text("{}")
        c.mark(stage.name, "done", started_at=f"2026-11-0{stage.number}T08:00:00+00:00")
    opened = Cycle.open("acme", "2026-11")
    opened.sign("collect", by="Greta Holm")
    versions.freeze(opened, "Greta Holm")
    assert opened.verify() == []
    return opened.folder


def test_the_crate_says_who_made_what_from_what_with_which_software_and_when(published: Path) -> None:
    graph = json.loads((published / crate.NAME).read_text(encoding="utf-8"))["@graph"]
    known = {one["@id"]: one for one in graph}
    assert len(known) == len(graph)
    manifest = Cycle.open("acme", "2026-11").manifest
    parts = {unquote(one["@id"]): known[one["@id"]] for one in known["./"]["hasPart"]}
    assert all((published / name).is_file() for name in parts)
    assert {n: one["sha256"] for n, one in parts.items() if "sha256" in one} == {
        name: sha256(published / name) for name in parts if name != "manifest.json"
    }
    on_disk = {path.relative_to(published).as_posix() for path in published.rglob("*") if path.is_file()}
    assert on_disk - set(parts) == {crate.NAME, "allowed_signers"}
    actions = [known[one["@id"]] for one in known["./"]["mentions"]]
    assert [one["name"] for one in actions] == [f"Stage {stage.number}, {stage.name}" for stage in STAGES]
    for stage, action in zip(STAGES, actions, strict=True):
        assert action["instrument"]["@id"] == f"notebooks/{stage.notebook}"
        assert action["startTime"] == f"2026-11-0{stage.number}T08:00:00+00:00" and action["endTime"]
    assert {"@id": "tables/families.parquet"} in actions[0]["result"] and actions[1]["object"]
    assert {"@id": "plan%20100%25.html"} in actions[-1]["result"]
    programs = {one["name"]: one["softwareVersion"] for one in graph if one["@type"] == "SoftwareApplication"}
    assert programs == manifest["versions"]
    people = {known[one["@id"]]["name"] for one in [*known["./"]["author"], known["./"]["publisher"]]}
    assert people == {"Greta Holm", "Ada / Brandt #1"}


def test_a_third_partys_validator_finds_nothing_wrong(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rule that RO-Crate 1.1 and Process Run Crate require; the one document it asks for is given from disk."""
    services = pytest.importorskip("rocrate_validator.services", reason="roc-validator is not installed")
    context = files(pytest.importorskip("rocrate", reason="rocrate is not installed")) / "data" / "ro-crate.jsonld"
    from rocrate_validator.models import Severity
    from rocrate_validator.utils.http import HttpRequester

    def answered(_: object, address: str, **__: object) -> object:
        assert address == f"{crate.CRATE}/context"
        headers, content = {"Content-Type": "application/ld+json"}, context.read_text(encoding="utf-8")
        return SimpleNamespace(status_code=200, headers=headers, text=content, json=lambda: json.loads(content))

    def refused(*_: object) -> None:
        raise AssertionError("the validator asked the network")

    monkeypatch.setattr(HttpRequester, "get", answered, raising=False)
    monkeypatch.setattr(socket.socket, "connect", refused)

    def issues(folder: Path) -> list[str]:
        asked = {"rocrate_uri": str(folder), "profile_identifier": "process-run-crate"}
        settings = services.ValidationSettings(**asked, requirement_severity=Severity.REQUIRED, offline=True)
        return sorted(f"{one.check.identifier} {one.message}" for one in services.validate(settings).get_issues())

    assert issues(published) == []
    spoiled = published.with_name("spoiled")
    shutil.copytree(published, spoiled)
    path = spoiled / crate.NAME
    path.chmod(0o644)
    path.write_text(path.read_text(encoding="utf-8").replace('"instrument"', '"instrumant"'), encoding="utf-8")
    assert any("instrument" in one for one in issues(spoiled)), "the validator looks"
