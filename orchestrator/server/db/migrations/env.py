"""Alembic's entry: runs the versions over the connection that :mod:`..migrate` hands in."""

from alembic import context

from orchestrator.server.db.models import Base
from orchestrator.server.db.partitions import is_ours

connection = context.config.attributes["connection"]


context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    include_object=is_ours,
    compare_server_default=False,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
