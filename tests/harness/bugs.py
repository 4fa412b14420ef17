"""Exceptions that are no `Exception`, and bugs all the same."""

import asyncio

import pytest


class Own(BaseException):
    """A BaseException of the application's."""


BUGS = (asyncio.CancelledError, GeneratorExit, Own, KeyError)
IS_ANY_BUG = pytest.mark.parametrize("bug", BUGS)
