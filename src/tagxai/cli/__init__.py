"""The command line. Importing it loads no torch: `tagxai --help` answers at once."""

from tagxai.cli.app import main

__all__ = ["main"]
