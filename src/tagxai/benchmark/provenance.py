"""What a run was made with: versions, system and commit."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from tagxai.contract.attribution import installed_versions


def provenance() -> dict[str, Any]:
    """The installed versions, and the commit where tagxai is run from a checkout."""
    package = Path(__file__).parent
    git = ["git", "-C", str(package), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, timeout=10).stdout.strip() or None
    except (OSError, subprocess.TimeoutExpired):
        commit = None
    return {
        "versions": installed_versions(),
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.machine()}",
        "commit": commit,
    }
