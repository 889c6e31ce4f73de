"""Marks of tests that are about one of the databases that the ledger can be on."""

import pytest

on_sqlite = pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("ledger", ["postgresql"], indirect=True)
