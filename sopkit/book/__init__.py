"""Tables, settings and cycle as one value: a `Book` to ask, a `Plan` to change, a scenario as a list of changes."""

from sopkit.book.book import Book
from sopkit.book.plan import Plan
from sopkit.book.scenarios import Change, Question, Scenario, add_scenario, apply, load_questions, load_scenarios

__all__ = [
    "Book", "Change", "Plan", "Question", "Scenario", "add_scenario", "apply", "load_questions", "load_scenarios",
]  # fmt: skip
