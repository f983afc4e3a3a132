"""The command line: arguments in, exit statuses out, nothing else."""

from tenfold.cli import claims, experiments, pictures  # their commands join the program as they are imported
from tenfold.cli.program import app, main

__all__ = ["app", "claims", "experiments", "main", "pictures"]
