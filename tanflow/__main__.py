"""`python -m tanflow`."""

from tanflow.cli import main

main()
