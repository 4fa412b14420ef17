"""The command line: `python -m simplysocket`, and the command `simplysocket`.

Law: the packages of the extra `cli` are imported only here and in _operation/.
"""

from ._process_end import take_signals
from ._stderr import tell


def main() -> None:
    """Run the command line.

    If a package of the extra `cli` is not installed, print its name and end with status 2:
    a server alone does not need it.
    """
    take_signals()
    try:
        import cyclopts  # noqa: F401
        import watchfiles  # noqa: F401
    except ModuleNotFoundError as error:
        tell(f"simplysocket: the command line needs {error.name}: pip install 'simplysocket[cli]'")
        raise SystemExit(2) from None
    from ._operation.cli import main

    main()


if __name__ == "__main__":
    main()
