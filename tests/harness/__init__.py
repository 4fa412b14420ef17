"""What tests share: servers, clients, attackers, a browser, and views of what a client has received.

Law: nothing here is a test, and no test imports from a file of tests.
"""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
"""The top of the repository."""
