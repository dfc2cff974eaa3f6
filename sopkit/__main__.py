"""`python -m sopkit` is `sopkit`."""

from sopkit.cli import main

main()
