"""The data dictionary, made from the declarations: `python -m sopkit.tables.dictionary` writes data/README.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sopkit.tables import INPUTS, Column, Table

HEAD = """\
# The data dictionary

<!-- Made by `python -m sopkit.tables.dictionary` from the declarations in sopkit/tables. Do not edit. -->

A company's folder holds `company.yaml` and its tables: as CSV files of a table's name, as sheets of `tables.xlsx`
(`sopkit template` writes an empty one), or wherever `company.yaml` says they come from. Months are written `2026-11`,
days `2026-11-30`, shares as fractions (0.25 is 25 %), money in the company's currency, quantities in the unit of
measure of the product. A column that is not needed may be absent; its empty cells then mean what stands under *empty*.
"""


def markdown() -> str:
    """The whole dictionary: a list of the input tables, then every input table column by column."""
    lines = [HEAD, "| table | needed | who knows | one row is |", "|---|---|---|---|"]
    lines += [
        f"| [{table.name}](#{table.name}) | {'yes' if table.required else ''} | {table.owner} "
        f"| {_cell(table.meaning)} |"
        for table in INPUTS
    ]
    for table in INPUTS:
        lines += _section(table)
    return "\n".join(lines) + "\n"


def _section(table: Table) -> Iterator[str]:
    yield f"\n## {table.name}\n"
    yield f"{table.meaning} Key: {', '.join(f'`{name}`' for name in table.key)}.\n"
    yield "| column | meaning | unit | allowed | empty | example |"
    yield "|---|---|---|---|---|---|"
    for column in table:
        cells = (
            f"`{column.name}`",
            column.meaning,
            column.unit,
            column.allowed,
            _empty(column),
            _shown(column.example),
        )
        yield "| " + " | ".join(_cell(cell) for cell in cells) + " |"
    for later, earlier in table.not_before:
        yield f"\n`{later}` may not lie before `{earlier}`."


def _empty(column: Column) -> str:
    if column.required:
        return "refused"
    return "allowed" if column.default in (None, "") else f"means {_shown(column.default)}"


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) and value < 1e6 else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def write(path: Path) -> None:
    """Write the dictionary to `path`."""
    path.write_text(markdown(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).resolve().parents[2] / "data" / "README.md")
