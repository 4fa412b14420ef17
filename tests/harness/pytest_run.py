"""Pytest over a folder, in a process of its own and with its own settings."""

import subprocess
import sys
from pathlib import Path

from . import ROOT

PATIENCE = 120.0  # seconds until a silent process is killed, so that a test fails instead of hanging


def run_pytest(folder: Path, *arguments: str) -> str:
    """Run pytest over the files in a folder, and return what it says."""
    run = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-m",
            "pytest",
            "-q",
            "-rA",
            "--tb=short",
            "-p",
            "no:cacheprovider",
            *arguments,
        ],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
        check=False,
    )
    return run.stdout
