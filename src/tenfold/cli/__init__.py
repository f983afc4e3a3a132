"""The command line: arguments in, exit statuses out, nothing else."""

from tenfold.cli.commands import main

__all__ = ["main"]
