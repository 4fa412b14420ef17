"""The errors that were logged during a test."""

import logging

import pytest


def error_records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return the records of level ERROR or above."""
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


def errors_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the text of each record of level ERROR or above."""
    return [record.getMessage() for record in error_records(caplog)]
