"""The tasks: one module per kind of job. Every module in this folder is imported, so a new one needs no list."""

from importlib import import_module
from pkgutil import iter_modules

from jobs.app import app

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["app"]
