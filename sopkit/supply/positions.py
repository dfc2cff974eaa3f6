"""Where the members of a model's sets stand, asked for whole arrays of codes at once: for `accelerator`."""

from __future__ import annotations

from functools import cached_property
from operator import is_

import numpy as np
import pandas as pd

_DENSE = 20_000_000  # keys: a set's lookup table is an array up to here, a sorted search above


class NotReadableError(Exception):
    """The rule does something that is not done over a whole set: walk it instead."""


class Positions:
    """Where the members of one plain set stand, found for whole arrays of codes at once; -1 = no member."""

    def __init__(self, codes: list[np.ndarray]) -> None:
        self.codes, self.size, self.tables = codes, len(codes[0]), []
        for column in codes:
            present = np.flatnonzero(np.bincount(column))
            table = np.full(present.max(initial=-1) + 2, -1)  # the last is for every code that is not there, and for -1
            table[present] = np.arange(len(present))
            self.tables.append((table, max(1, len(present))))
        room = float(np.prod([float(width) for _, width in self.tables]))
        if room >= 2**62:
            raise NotReadableError("too many labels for one key")
        keys = self._keys(codes)
        self.sparse = pd.Index(keys) if room > _DENSE else None
        if self.sparse is None:
            self.at = np.full(int(room) + 1, -1)
            self.at[keys] = np.arange(self.size)

    def _keys(self, codes: list[np.ndarray]) -> np.ndarray:
        key, missing = np.zeros(len(codes[0]), dtype="int64"), False
        for column, (table, width) in zip(codes, self.tables, strict=True):
            place = table[np.minimum(column, len(table) - 1)]
            key, missing = key * width + place, missing | (place < 0)
        return np.where(missing, -1, key)

    def find(self, codes: list[np.ndarray]) -> np.ndarray:
        """The position of each member."""
        if len(codes[0]) == self.size and all(map(np.array_equal, codes, self.codes)):
            return np.arange(self.size)
        keys = self._keys(codes)
        return self.at[keys] if self.sparse is None else self.sparse.get_indexer(keys)


class Index:
    """An index set as the product of its plain sets."""

    def __init__(self, factors: list[Positions]) -> None:
        self.factors = factors
        self.size = int(np.prod([factor.size for factor in factors]))

    @cached_property
    def members(self) -> tuple[np.ndarray, ...]:
        """The codes of every member, one array for each index, in the order of iteration."""
        out, before, after = [], 1, self.size
        for factor in self.factors:
            after //= max(1, factor.size)
            out += [np.tile(np.repeat(codes, after), before) for codes in factor.codes]
            before *= factor.size
        return tuple(out)

    def find(self, codes: list[np.ndarray]) -> np.ndarray:
        """The position of each tuple of codes, -1 where it is no member."""
        if len(codes) == len(self.members) and all(map(is_, codes, self.members)):  # asked for all of it
            return np.arange(self.size)
        position, first = np.zeros(len(codes[0]), dtype="int64"), 0
        for factor in self.factors:
            found = factor.find(codes[first : first + len(factor.codes)])
            position = np.where((position < 0) | (found < 0), -1, position * factor.size + found)
            first += len(factor.codes)
        if first != len(codes):
            raise NotReadableError("more indices than the set has")
        return position
