"""A company's settings: `company.yaml`, checked before anything is read, every mistake with its line."""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from sopkit.errors import SettingsError, nearest

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(ge=0)]
Settings = TypeVar("Settings")


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Policies(_Settings):
    """Company-wide rules of planning; the tables hold those of one site, product or market."""

    allocation: Literal["profit", "priority", "fair_share"] = Field(
        "profit", description="who is served first when supply is short"
    )
    backlog_at_end: Literal["priced", "forbidden"] = Field(
        "priced", description="may demand still wait at the horizon's end"
    )
    stock_budget: Positive | None = Field(None, description="most money in stock at a month's end; none = no limit")
    stock_budget_price: Positive = Field(0.02, description="price of a unit of money above the stock budget, per month")
    whole_people: bool = Field(False, description="people are whole numbers (slower)")
    frozen_months: int = Field(0, ge=0, le=12, description="first months taken from the last published plan")
    plan_change_price: Positive = Field(0.0, description="price of a unit changed against the last published plan")
    end_stock_price: Positive = Field(
        0.0, description="price of a unit missing from the target end stock; 0 = standard cost and safety stock price"
    )


class KpiTarget(_Settings):
    """What a KPI should be, and who answers for it."""

    target: float
    owner: str
    better: Literal["higher", "lower"] = "higher"


class Assumption(_Settings):
    """Something missing that is planned around."""

    statement: str
    owner: str
    table: str = ""
    expires: str = ""


class StreamLimits(_Settings):
    """How far past accuracy may move the weight of a stream in the consensus."""

    least: Share = 0.0
    most: Share = 1.0


class Consensus(_Settings):
    """How the streams become one number."""

    streams: dict[str, StreamLimits] = Field(
        default_factory=lambda: {"statistical": StreamLimits(), "sales": StreamLimits()}
    )
    lag: int = Field(1, ge=1, le=12, description="the lag at which streams are judged, months")


class Database(_Settings):
    """A database to read from. Its password never stands in a file: `password_env` names the variable that holds it."""

    url: str = Field(description="SQLAlchemy URL without a password, like postgresql+psycopg://planner@db.example/erp")
    password_env: str = Field("", description="name of the environment variable that holds the password")

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str) -> str:
        address, _, options = url.partition("?")
        user = address.partition("://")[2].rpartition("@")[0]
        if ":" in user or "password" in options.lower() or "pwd=" in options.lower():
            raise ValueError(
                "a password stands in the URL: remove it, change it where it is in use, and name the "
                "environment variable that holds it under `password_env`"
            )
        return url


class Cleansing(_Settings):
    """Which corrections of history count until a planner says otherwise, and how far is too far."""

    accept: tuple[
        Literal[
            "returns", "missing_month", "stock_out", "suspected_stock_out", "one_off_deal", "outlier", "trading_days"
        ],
        ...,
    ] = Field(
        ("returns", "missing_month", "stock_out"),
        description="methods whose corrections count unless a planner refuses them",
    )
    threshold: float = Field(4.0, ge=1, description="robust standard deviations from which a month looks wrong")


class DemandRules(_Settings):
    """What demand planning assumes where the data say nothing, and how much it shows."""

    pull_forward: Share = Field(
        0.25, description="share of a campaign's extra units missing afterwards, before any is measured"
    )
    pull_forward_months: int = Field(1, ge=1, le=6, description="months after a campaign in which they are missing")
    run_out_months: int = Field(
        3, ge=0, le=24, description="last months of a retiring product in which demand fades evenly; 0 = none"
    )
    abc: tuple[Share, Share] = Field((0.80, 0.95), description="share of value at which A ends, and B")
    xyz: tuple[Positive, Positive] = Field((0.25, 0.50), description="variation at which X ends, and Y")
    exceptions_shown: int = Field(15, ge=1, description="most exceptions shown")
    exceptions_each: int = Field(4, ge=1, description="most of them for one cause")


class Company(_Settings):
    """Everything a company sets: money, horizon, policies, targets, and where each table comes from."""

    name: str
    currency: str = Field("EUR", pattern="^[A-Z]{3}$", description="the money of every amount")
    language: str = "en"
    fiscal_year_start: int = Field(1, ge=1, le=12, description="first month of the fiscal year")
    horizon: int = Field(18, ge=1, le=60, description="months planned")
    policies: Policies = Policies()
    consensus: Consensus = Consensus()
    cleansing: Cleansing = Cleansing()
    reconciliation: Literal["mint_shrink", "wls_var", "wls_struct", "ols", "bottom_up", "top_down"] = Field(
        "mint_shrink", description="how forecasts of products, families, regions and the total are made to add up"
    )
    demand: DemandRules = DemandRules()
    kpi_targets: dict[str, KpiTarget] = {}
    assumptions: dict[str, Assumption] = {}
    rates: dict[str, Positive] = Field({}, description="money of the company for one unit of another currency")
    raw: str = Field(
        "", description="folder of the raw files; relative to the company's folder, or $NAME, or ${NAME:-folder}"
    )
    workbook: str = Field(
        "tables.xlsx", description="Excel workbook whose sheets are the tables that have no other source"
    )
    databases: dict[str, Database] = Field({}, description="databases that tables are read from")
    tables: dict[str, Any] = Field(
        {},
        description="where each table comes from; a table not named: sql/<table>.sql, "
        "<table>.csv, <table>.parquet, or its sheet in the workbook",
    )

    def raw_folder(self, folder: Path) -> Path:
        """The folder of the raw files of the company in `folder`; SettingsError where its variable is not set."""
        variable = re.fullmatch(r"\$(?:(\w+)|\{(\w+)(?::-(.*))?\})", self.raw)
        if not variable:
            return folder / self.raw
        name, default = variable[1] or variable[2], variable[3]
        place = os.environ.get(name) or default
        if place is None:
            raise SettingsError(
                f"the environment variable {name} is not set. Set it to the folder that holds the raw files."
            )
        return folder / place

    def months(self, cycle: str) -> list:
        """The planned months as pandas Timestamps: the cycle's own month first."""
        import pandas as pd

        return list(pd.date_range(pd.Timestamp(cycle + "-01"), periods=self.horizon, freq="MS"))


def _lines(node: yaml.Node, path: tuple = ()) -> dict[tuple, int]:
    """The line of every key and item in a YAML document, by its path."""
    lines = {path: node.start_mark.line + 1}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            lines |= _lines(value, (*path, key.value))
            lines[(*path, key.value)] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines |= _lines(value, (*path, index))
    return lines


def load_yaml(path: Path) -> tuple[Any, dict[tuple, int]]:
    """The document at `path` and the line of each of its parts; raises SettingsError where it is not YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(
            f"{path} does not exist. Make it with `sopkit new`, or correct the company's name."
        ) from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return (yaml.safe_load(text) or {}), (_lines(node) if node else {})
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise SettingsError(f"{path}, line {line}: {error.problem}. Correct the YAML there.") from None


def _fields_at(kind: Any, where: tuple) -> dict[str, Any]:
    """The fields of the settings class found at `where` inside `kind`, through lists and dictionaries."""
    for part in where:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[part].annotation if part in kind.model_fields else None
        else:  # list[X], dict[str, X], X | None: the class is among the arguments
            kind = next((arg for arg in reversed(get_args(kind)) if arg not in (str, type(None))), None)
    return getattr(kind, "model_fields", {})


def validated(kind: type[Settings], document: Any, lines: dict[tuple, int], path: Path) -> Settings:
    """`document` as `kind`, a settings class or a list or dictionary of one.

    Raises SettingsError that lists every mistake with its line and the nearest valid names.
    """
    try:
        return TypeAdapter(kind).validate_python(document)
    except ValidationError as error:
        said = []
        for mistake in error.errors():
            where = tuple(mistake["loc"])
            line = next((lines[where[:n]] for n in range(len(where), -1, -1) if where[:n] in lines), 1)
            message = mistake["msg"].removeprefix("Value error, ")
            if mistake["type"] == "extra_forbidden":
                message = "no such setting; " + nearest(str(where[-1]), _fields_at(kind, where[:-1]))
            said.append(f"  line {line}: {'.'.join(map(str, where))}: {message}")
        raise SettingsError(f"{path} has {len(said)} mistake(s):\n" + "\n".join(said)) from None


def load_company(folder: Path) -> Company:
    """The settings in `folder`/company.yaml; raises SettingsError naming each wrong line."""
    path = folder / "company.yaml"
    document, lines = load_yaml(path)
    return validated(Company, document, lines, path)


def parse_cycle(text: str) -> str:
    """A cycle's name, `YYYY-MM`; raises SettingsError for anything else."""
    try:
        return date.fromisoformat(f"{text}-01").strftime("%Y-%m")
    except (TypeError, ValueError):
        raise SettingsError(f"cycle {text!r} is not a month. Write it like 2026-11.") from None
