"""The cost of coming back: `python -m tests.benchmarks.with_resume`.

Both sides run the package of the working tree. On one side all clients offer `simplysocket.resume`, and acknowledge
what they receive once a second; on the other they offer only `simplysocket.json`. Otherwise as `against`.
"""

import argparse
import tempfile
from pathlib import Path

from tests.benchmarks.against import CROWD, MEMORY, NAMES, PACKAGE, Side, add_choices, compare, copy_package, git, title
from tests.benchmarks.clients import PLAIN, RESUMING
from tests.benchmarks.comparison import Bounds
from tests.benchmarks.runs import machine, run_command

COLUMNS = (*(name for name in NAMES if name != MEMORY), CROWD.name, MEMORY)
BOUNDS = Bounds(loss=0.1, memory_kib=2, losses={CROWD.name: 0.5})  # a crowd is back within twice the time


def main() -> int:
    """Compare clients with resume and without; return 1 if a server lost anything."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.with_resume", description="What resume costs.")
    add_choices(parser, COLUMNS)
    options = parser.parse_args()
    changed = " and uncommitted changes" if git("status", "--porcelain", "--", PACKAGE) else ""
    print(f"{machine()}\nboth: {title('HEAD')}{changed}")
    with tempfile.TemporaryDirectory(prefix="bench-resume-") as folder:
        packages = Path(folder).resolve()
        copy_package(packages)
        sides = [Side("without", packages, PLAIN), Side("with", packages, RESUMING)]
        return compare(sides, options.columns, options.pairs, BOUNDS)


if __name__ == "__main__":
    run_command(main)
