"""`python -m simplysocket`, and the command `simplysocket`."""

import sys


def main() -> None:
    """Run the command line, or say which package it needs: a server alone needs fewer."""
    try:
        import cyclopts  # noqa: F401
        import watchfiles  # noqa: F401
    except ModuleNotFoundError as error:
        message = f"simplysocket: the command line needs {error.name}: pip install 'simplysocket[cli]'"
        print(message, file=sys.stderr)
        raise SystemExit(2) from None
    from ._operation.cli import main

    main()


if __name__ == "__main__":
    main()
