"""Small is a law of the house: lines of the package, lines of a file, positional parameters, nothing dead."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "sopkit"

# code lines of the package: neither blank nor comment. Raised for what came in: the decision loop and the month after,
# promises in passes, shelf life by age, demand by price and event, files as they come, signatures and the crate,
# notation and explanations, the workbench, the limits of real plants, sentences that translate; to be lowered with
# every landing that makes it smaller
MOST = 30_100
