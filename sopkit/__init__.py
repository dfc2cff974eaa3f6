"""sopkit: the monthly Sales & Operations Planning cycle as six notebooks over one small package.

From a blank notebook: `sopkit.demo()` and `sopkit.book(folder, cycle)` give a company's inputs, `book.plan()` plans
them, `sopkit.open(company, cycle)` gives a cycle that was run. Nothing here writes anything.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sopkit.version import __version__ as __version__

if TYPE_CHECKING:
    from sopkit.book import Book
    from sopkit.cycle import Cycle


def open(company: str, cycle: str, *, reports: Path | str | None = None) -> Cycle:  # noqa: A001
    """The `cycle` (`2026-11`) of `company` as it was run: everything can be read, nothing is written.

    `.plan` is its plan as a value, `.book` its tables. `reports`: the folder of cycle folders (default: reports/ of the
    project). Raises SettingsError for an unknown company or a cycle that is no month.
    """
    from sopkit.cycle import Cycle

    return Cycle.open(company, cycle, reports=Path(reports) if reports else None)


def book(folder: Path | str, cycle: str) -> Book:
    """The checked inputs of the company in `folder` (`data/acme`) for `cycle`, as stage collect would take them.

    Nothing is written. Raises SettingsError where a setting is wrong, FindingsError with every error in the tables.
    """
    from sopkit.collect import collect

    return collect(Path(folder), cycle).book()


def demo(cycle: str = "2026-11") -> Book:
    """The inputs of the demo company: data/demo of where you work, else the one that travels with the package."""
    from sopkit.files import data_root, shipped

    own = data_root() / "demo"
    return _book(own if own.is_dir() else shipped("demo"), cycle)


_book = book


class _Room(ModuleType):
    def __call__(self, folder: Path | str, cycle: str) -> Book:
        return _book(folder, cycle)


class _Package(ModuleType):
    """Python puts the room `sopkit.book` in the place of the function once that is imported: both answer a call."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "book" and isinstance(value, ModuleType):
            value.__class__ = _Room
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
