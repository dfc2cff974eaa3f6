"""Where a table comes from and what turns its cells into ours: the `tables:` part of company.yaml."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from sopkit.tables.declare import Column

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(ge=0)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


def setting(default: Any, meaning: str, unit: str = "", *, example: Any = None, **limits: Any) -> Any:
    """A setting: its default (... = must be set), its meaning, its unit and an example where the default is none."""
    shown = default if example is None else example
    return Field(default, description=meaning, examples=[shown], json_schema_extra={"unit": unit}, **limits)


class Settings(BaseModel):
    """A part of the settings: frozen, and without unknown names or numbers without end."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _known_encoding(name: str) -> str:
    try:
        b"a".decode(name, "replace")
    except LookupError:
        raise ValueError(f"no text encoding is called {name!r}; try utf-8, cp1252, latin-1 or utf-16") from None
    return name


Encoding = Annotated[str, AfterValidator(_known_encoding)]


class RawFile(Settings):
    """How a raw file that queries read is written; what is not said is found from the file."""

    encoding: Encoding = setting("utf-8", "encoding of the file", example="cp1252")
    delimiter: str = setting("", "character between cells; empty = found from the file", example=";", max_length=1)
    decimal: Literal[".", ","] = setting(".", "decimal mark of numbers", example=",")
    skip: int = setting(0, "lines above the header", "lines", ge=0)
    as_text: bool = setting(False, "every cell stays text: leading zeros are part of a code", example=True)


class Source(Settings):
    """Where one table comes from and what turns its cells into ours; every setting is optional."""

    file: str = setting("", "CSV, Parquet or Excel file in the raw folder; `*` takes every file that fits", example="orders_*.csv")
    sheet: str = setting("", "sheet of an Excel file; empty = the table's name", example="Sales 2026")
    sql: str = setting("", "file with a DuckDB query over the raw files, in the company's folder", example="sql/orders.sql")
    database: str = setting("", "name of a database under `databases:`", example="erp")
    query: str = setting("", "SELECT sent to the database; empty = all of a table of our table's name", example="SELECT item AS product FROM stock")
    delimiter: str = setting("", "character between CSV cells; empty = found from the header", example=";", max_length=1)
    encoding: Encoding = setting("utf-8", "encoding of a CSV file")
    decimal: Literal[".", ","] = setting(".", "decimal mark of numbers")
    thousands: str = setting("", "mark between thousands, removed", example=",", max_length=1)
    dates: str = setting("", "how dates are written; empty = 2026-11 or 2026-11-30", example="%d.%m.%Y")
    skip: int = setting(0, "lines above the header", "lines", ge=0)
    empty: tuple[str, ...] = setting((), "words that mean an empty cell", example='["NULL", n/a]')
    rename: dict[str, str] = setting({}, "their column -> ours", example="{Artikel: product}")
    values: dict[str, dict[str, str]] = setting({}, "our column -> their word -> ours", example="{market: {N: NORTH-RETAIL}}")
    constants: dict[str, str | int | float | date] = setting({}, "our column -> its value in every row", example="{site: PLANT-N}")
    multiply: dict[str, float] = setting({}, "our column -> factor that converts its unit into ours", example="{quantity: 12}")
    currency: str | dict[str, str] = setting("", "currency of the money, for all columns or by column; `market` = the currency of the row's market", example="USD")
    sum_rows: bool = setting(False, "add up rows of one key; days become months")
    ignore: tuple[str, ...] = setting((), "their columns that are not needed; `*` = all others", example="[Notiz]")

    @field_validator("constants", mode="before")
    @classmethod
    def _no_yaml_booleans(cls, constants: Any) -> Any:
        # YAML reads NO and on as booleans: Norway would become False
        if isinstance(constants, dict):
            for name, value in constants.items():
                if isinstance(value, bool):
                    raise ValueError(f"write the value of {name} in quotes")
        return constants

    @property
    def currencies(self) -> dict[str, str]:
        """Column -> currency; one for all columns stands under ""."""
        if isinstance(self.currency, dict):
            return self.currency
        return {"": self.currency} if self.currency else {}

    def currency_of(self, column: Column) -> str:
        """Currency in which `column` comes; "" where it is the company's or the column holds no money."""
        return self.currencies.get(column.name, self.currencies.get("", "")) if column.is_money else ""
