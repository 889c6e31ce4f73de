"""What only a Celery worker runs: its steward, its result backend, its consumer."""
