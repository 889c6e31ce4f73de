"""Alembic's entry point: runs the migrations on the connection that :mod:`jobs.commands.migrate` hands over."""

from alembic import context

from jobs.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot ALTER much: Alembic copies the table instead
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
