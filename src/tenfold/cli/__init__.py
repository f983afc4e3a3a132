"""The command line: arguments in, exit statuses out, nothing else."""

from tenfold.cli import (  # their commands join the program as they are imported
    claims,
    experiments,
    generators,
    pictures,
    related,
    restyling,
)
from tenfold.cli.program import app, main

__all__ = ["app", "claims", "experiments", "generators", "main", "pictures", "related", "restyling"]
