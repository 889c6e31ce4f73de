"""What the web container and the workers share: settings, the catalogue of job types, the ledger, the Celery app.

Arrows point one way: ``webapp -> jobs <- tasks``. Nothing in here imports either of them.
"""

__version__ = "1.0.0"
