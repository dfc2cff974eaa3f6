"""`Sheet`: lines x months, typed over as in a spreadsheet. It shows and listens; its lines know what a cell means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import anywidget
import traitlets

if TYPE_CHECKING:
    from sopkit.workbench.draft import TypedOver

HERE = Path(__file__).parent
Cell = tuple[str, str, str]  # text, state ("", "changed", "wrong", "locked"), note


class Row(NamedTuple):
    """A line of the sheet under its `parent` (None at the top); `open` = its own lines are shown from the start."""

    id: str
    label: str
    depth: int
    parent: str | None
    opens: bool
    open: bool


class Refused(NamedTuple):
    """What was typed into a cell, and why it cannot be: one sentence."""

    row: str
    column: int
    typed: str
    why: str


class Sheet(anywidget.AnyWidget):
    """An accessible grid in the browser over `lines`; `changed` is called after every step that was taken.

    Keyboard as in a spreadsheet: arrows, Enter, Tab, F2, Escape, Shift to mark, copy and paste blocks, Delete, Ctrl+Z,
    Ctrl+Y; Space opens and closes a line. Only the lines in sight are drawn and asked for.
    """

    _esm = HERE / "sheet.js"
    _css = HERE / "sheet.css"
    rows: Any = traitlets.List().tag(sync=True)
    columns: Any = traitlets.List().tag(sync=True)
    details: Any = traitlets.List().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    corner = traitlets.Unicode().tag(sync=True)

    def __init__(
        self, lines: TypedOver, *, label: str, corner: str, changed: Callable[[], None] = lambda: None
    ) -> None:
        self.lines, self._after = lines, changed
        self._told: dict[str, list[Cell]] = {}  # what the browser was told
        self._mark: Any = None  # of the last step that was taken: the browser waits for its answer
        rows, columns, details = [row._asdict() for row in lines.rows], list(lines.columns), list(lines.details)
        super().__init__(rows=rows, columns=columns, details=details, label=label, corner=corner)
        self.on_msg(self._heard)

    def holds(self, lines: TypedOver) -> bool:
        """Whether `lines` are those that are shown, with other numbers: they can take their place."""
        return self.rows == [row._asdict() for row in lines.rows] and self.columns == list(lines.columns)

    def _heard(self, _: Any, message: dict[str, Any], __: Any) -> None:
        if message["type"] == "need":
            return self._tell(message["ids"])
        refused: list[Refused] = []
        if message["type"] == "enter":
            refused = self.lines.enter([(row, column, text) for row, column, text in message["cells"]])
        elif message["type"] == "undo":
            self.lines.undo()
        elif message["type"] == "redo":
            self.lines.redo()
        if not refused:
            self._after()
        self._mark = message.get("mark")
        self.refresh(refused)

    def refresh(self, refused: Sequence[Refused] = ()) -> None:
        """Send what is another text than the browser has; cells in `refused` show what was typed, and why not."""
        wrong: dict[str, dict[int, Refused]] = {}
        for one in refused:
            wrong.setdefault(one.row, {})[one.column] = one
        self._tell(list(self._told), wrong)

    def _tell(self, ids: Sequence[str], wrong: dict[str, dict[int, Refused]] | None = None) -> None:
        changed = {}
        for row in ids:
            cells = self.lines.cells(row)
            for column, one in (wrong or {}).get(row, {}).items():
                if column < len(cells):
                    cells[column] = (one.typed, "wrong", one.why)
            if self._told.get(row) != cells or wrong is None:
                changed[row] = self._told[row] = cells
        done, undone = self.lines.steps
        whys = [one.why for cells in (wrong or {}).values() for one in cells.values()]
        told = f"Nothing was taken over. {whys[0]}" if whys else self.lines.sentence
        told += f" And {len(whys) - 1:,} more." if len(whys) > 1 else ""
        steps = {"undo": done, "redo": undone, "heard": self._mark}
        self.send({"type": "cells", "cells": changed, "told": told, "wrong": bool(whys)} | steps)
