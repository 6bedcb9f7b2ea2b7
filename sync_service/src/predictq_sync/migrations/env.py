"""What Alembic runs: the migrations, on the connection that `upgrade` opened and will commit."""

from alembic import context

from predictq_sync.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
