"""`python -m services` is the `sampan` command."""

from services.cli import main

main()
