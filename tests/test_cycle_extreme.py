"""A company in which every number is zero, to the pack; nineteen more edges are in bench_trust.py."""

from __future__ import annotations

from pathlib import Path

import extreme
import pytest

from sopkit.cycle import Cycle


@pytest.mark.parametrize("name", ["nothing anywhere"])
def test_an_extreme_company_comes_to_a_pack(name: str, own_place: Path) -> None:
    extreme.lay_out(own_place / "data" / "edge", name)
    extreme.perform("edge")
    cycle = Cycle.open("edge", extreme.CYCLE)
    assert "</html>" in (cycle.folder / "plan.html").read_text(encoding="utf-8")
    assert cycle.verify() == [] and cycle.read("supply_checks")["holds"].all()
