"""`Freshness`: a figure of the open notebook that is older than what it shows is marked so until made again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import anywidget
import traitlets

from sopkit.cycle import Cycle
from sopkit.files import data_root
from sopkit.tables import PLAN_OF_RECORD, TABLES

HERE = Path(__file__).parent
MAKE = "{}. Carry on, or run the notebook again."


class Freshness(anywidget.AnyWidget):
    """What became of the tables since the notebook read them: by this kernel, another notebook, or another person.

    The browser asks while the page is looked at, and marks figures by their source tables and the time they were made;
    it holds a press until what was typed before it is known here. Nothing runs headless.
    """

    _esm = HERE / "freshness.js"
    _css = HERE / "freshness.css"
    stale: Any = traitlets.Dict().tag(sync=True)  # table -> why its figures are stale
    since: Any = traitlets.Dict().tag(sync=True)  # table -> when this kernel made it another, seconds
    answered = traitlets.Int().tag(sync=True)

    def __init__(self, cycle: Cycle) -> None:
        self.cycle = cycle
        self.changed: dict[str, Callable[[], None]] = {}  # what each kind of control does when others changed something
        self._stamp = self._stands()
        own = {name: one["sha256"] for name, one in cycle.manifest["tables"].items() if one["stage"] == cycle.stage}
        self._first = own  # what the notebook shows of its own stage where it did not save it itself
        self._known = own | cycle.seen()
        super().__init__()
        self.on_msg(self._asked)

    @staticmethod
    def of(cycle: Cycle, control: str, changed: Callable[[], None]) -> Freshness:
        """The one of an opened cycle, shared by all controls of a notebook."""
        fresh = _OPEN.get(cycle) or _OPEN.setdefault(cycle, Freshness(cycle))
        fresh.changed[control] = changed
        return fresh

    def _asked(self, *_: Any) -> None:
        if self.look():
            for tell in self.changed.values():
                tell()
        self.answered += 1

    def _stands(self) -> list[Any]:
        folder = data_root() / self.cycle.company_name
        files = [self.cycle.folder / "manifest.json", *sorted(folder.rglob("*"))]
        return [(path.name, path.stat().st_mtime_ns) for path in files if path.is_file()]

    def look(self) -> bool:
        """Hold what this kernel read and wrote against what stands now; False where no file changed since."""
        if (stamp := self._stands()) == self._stamp:
            return False
        self._stamp = stamp
        reasons, manifest, known = self.cycle.stale(), self.cycle.manifest["tables"], self._first | self.cycle.seen()
        moved = [name for name in known if known[name] != self._known.get(name)]
        self.since, self._known = {**self.since, **dict.fromkeys(moved, time.time())}, known
        found = {name: MAKE.format(reasons[table.stage]) for name, table in TABLES.items() if table.stage in reasons}
        for key, sha in known.items():
            if (name := key.removeprefix(PLAN_OF_RECORD)) not in found and manifest.get(key, {}).get(
                "sha256", sha
            ) != sha:
                found[name] = f"table {name} was made again elsewhere. Run the notebook again."
        self.stale = found
        return True


_OPEN: WeakKeyDictionary[Cycle, Freshness] = WeakKeyDictionary()
