"""How well `sopkit new --from` reads a folder it was never told about: `python tests/bench.py mapping`.

The demo's tables are exported as three houses would (`renamed.HOUSES`: an SAP-like one, a German one, a French one):
other names of files and columns, encodings, marks of numbers and patterns of days; once with their files' names and
once with files called 01.csv, 02.csv and so on. The houses' words are not shown to the package, but the same hand wrote
them and its vocabulary: a real house will fare worse.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import erp_dumps
import renamed

import sopkit
from sopkit.book.signed import PROVENANCE
from sopkit.collect import new_company
from sopkit.collect.exports import found, joined, settled
from sopkit.collect.proposal import SURE, propose
from sopkit.files import sha256, to_parquet
from sopkit.tables import TABLES, Company


def answers(folder: Path) -> dict[tuple[str, str], tuple[str, str, str]]:
    """(file, their column) -> (table, our column, confidence), as proposed for the exports in `folder`."""
    proposals = propose(joined(settled(found([str(folder)], Company(name="bench"), folder))))
    return {
        (file, match.theirs): (one.table.name, match.ours, match.confidence)
        for one in proposals
        for file in one.export.files
        for match in one.matches
    }


def numbered(folder: Path, truth: dict) -> dict:
    """The exports in `folder` called 01.csv, 02.csv ... in an order that says nothing; the truth under these names."""
    files = sorted(folder.iterdir(), key=lambda path: path.name[::-1])
    names = {path.name: f"{place:02d}.csv" for place, path in enumerate(files, 1)}
    for path in files:
        path.rename(folder / names[path.name])
    return {(names[file], column): ours for (file, column), ours in truth.items()}


def run(size: str = "default") -> Iterator[dict]:
    """Each figure as name, value, unit, goal, met, peer."""
    for house in renamed.HOUSES:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "exports"
            truth = renamed.exported(house, folder)
            for names in ("named", "numbered"):
                truth = numbered(folder, truth) if names == "numbered" else truth
                start = time.process_time()
                got = answers(folder)
                took = time.process_time() - start
                right = sum(got.get(key, ())[:2] == ours for key, ours in truth.items()) / len(truth)
                wrong = [(key, got[key]) for key, ours in truth.items() if key in got and got[key][:2] != ours]
                sure = [one for one in wrong if one[1][2] == SURE]
                about = f"{house.name} house, files {names}"
                peer = f"{len(truth)} columns, {len(wrong)} wrong of any confidence, {took:.1f} s of processor"
                yield _figure(
                    f"columns mapped right, {about}", (round(right, 3), "share"), right >= 0.9, ">= 0.9", peer
                )
                yield _figure(
                    f"wrong and called sure, {about}", (len(sure), "columns"), not sure, "<= 0", str(sure[:3])
                )
    yield from _round_trip()


def _round_trip() -> Iterator[dict]:
    """The demo planned from its own files and from what an ERP system would dump of it: the same, bit for bit."""
    wanted = _planned(renamed.DEMO)
    for pack in ("sap", "odoo"):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            held = getattr(erp_dumps, pack)(renamed.DEMO, folder / "dumps")
            new_company(folder / "demo", "Alpenglow Outdoor", [pack, str(folder / "dumps")])
            erp_dumps.beside(renamed.DEMO, folder / "demo", held)
            got = _planned(folder / "demo")
        other = sorted(name for name in wanted if got.get(name) != wanted[name])
        peer = f"{len(wanted)} tables of inputs, demand and supply, {len(held)} from the pack"
        yield _figure(f"plan tables that differ, from {pack} dumps", (len(other), "tables"), not other, "<= 0", peer)


def _planned(folder: Path) -> dict[str, str]:
    """The sha256 of every table of the plan made of the company in `folder`, but for where its inputs came from."""
    plan = sopkit.book(folder, "2026-11").plan()
    return {name: sha256(to_parquet(TABLES[name], plan[name])) for name in sorted(plan) if name not in PROVENANCE}


def _figure(name: str, value: tuple[float, str], met: bool, goal: str, peer: str) -> dict:
    return {"name": name, "value": value[0], "unit": value[1], "goal": goal, "met": met, "peer": peer}
