"""What is made of tables, made again only where one of the tables that it reads is another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

Tables = Mapping[str, pd.DataFrame]


class _Asked(dict[str, pd.DataFrame]):
    """Those of `tables` that were read."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def __missing__(self, name: str) -> pd.DataFrame:
        return self.setdefault(name, self._tables[name])


class Known(dict[Callable[..., Any], tuple[Tables, Any, Any]]):
    """What was made of tables once, taken again where nothing that was read for it is another now."""

    def __reduce__(self) -> tuple[type[Known], tuple[()]]:  # does not travel: it is made again in another process
        return Known, ()

    def made(self, make: Callable[..., Any], tables: Tables, *others: Any, **named: Any) -> Any:
        """`make(tables, *others, **named)`, or what that gave the first time, of the same tables and others."""
        read, same, result = self.get(make, ({}, None, None))
        if same == (others, named) and all(f is tables[n] or f.empty and tables[n].empty for n, f in read.items()):
            return result
        asked = _Asked(tables)
        result = make(asked, *others, **named)
        result = list(result) if isinstance(result, Iterator) else result
        first = self.setdefault(make, (asked, (others, named), result))[2]
        # what is alike is the same, so that what is made of it in turn is known too
        return first if first is result or first == result else result
