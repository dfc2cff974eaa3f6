"""One monthly cycle of one company: its folder, its tables, its manifest, and the runner of its six notebooks.

from sopkit.cycle import Cycle, run, reproduce
"""

from sopkit.cycle.cycle import Cycle
from sopkit.cycle.reproduce import reproduce
from sopkit.cycle.runner import find_notebooks, notebook_parameters, run

__all__ = ["Cycle", "find_notebooks", "notebook_parameters", "reproduce", "run"]
