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

import renamed

from sopkit.collect.exports import found, joined, settled
from sopkit.collect.proposal import SURE, propose
from sopkit.tables import Company


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


def _figure(name: str, value: tuple[float, str], met: bool, goal: str, peer: str) -> dict:
    return {"name": name, "value": value[0], "unit": value[1], "goal": goal, "met": met, "peer": peer}
