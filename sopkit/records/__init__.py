"""What people recorded about a company: overrides, decisions, answers and signatures, in an append-only, chained log.

One SQLite file a company by default (`data/<company>/records.sqlite`); PostgreSQL when the environment variable
SOPKIT_RECORDS holds its URL. Nothing is ever changed or deleted: a later record supersedes an earlier one.
"""

from sopkit.records.database import EVENTS, SQL_TABLES
from sopkit.records.records import Records, last_number

__all__ = ["EVENTS", "SQL_TABLES", "Records", "last_number"]
