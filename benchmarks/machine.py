"""What a figure was measured on, in a line: processor, threads, torch, commit."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path


def machine(threads: int) -> str:
    return f"{platform.machine()}, {threads} thread(s), torch {version('torch')}, commit {commit()}"


def commit() -> str:
    """The short hash of the checkout that this file is in; "unknown" outside one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"
    except FileNotFoundError:
        return "unknown"
