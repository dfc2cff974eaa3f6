"""Timed and measured figures, kept out of the tests: `python tests/bench.py NAME [SIZE]` runs `bench_NAME.run`.

One JSON line a figure: name, value, unit, goal, met, peer. Exit code 1 where a goal is missed.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(arguments: list[str]) -> int:
    """Run one section, or tell which there are."""
    names = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    if not arguments or arguments[0] not in names:
        print(f"usage: python tests/bench.py {{{','.join(names)}}} [SIZE]", file=sys.stderr)
        return 2
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    missed = 0
    for figure in import_module(f"bench_{arguments[0]}").run(*arguments[1:]):
        print(json.dumps(figure), flush=True)
        missed += figure["met"] is False
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
