"""Firings are numbered, so that nobody has to count them"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("firing", sa.Column("number", sa.BigInteger(), nullable=True))
    # Those of the last hour count on: what was stopped by its rate stays so.
    op.execute(
        "UPDATE firing f SET number = n.number FROM ("
        " SELECT id, row_number() OVER (PARTITION BY trigger_id ORDER BY id) AS number FROM firing"
        " WHERE trigger_id IS NOT NULL AND state <> 'suppressed' AND fired > now() - interval '1 hour') n"
        " WHERE n.id = f.id"
    )
    op.create_index("ix_firing_number", "firing", ["trigger_id", "id"], postgresql_where=sa.text("number IS NOT NULL"))
    op.create_index("ix_firing_rate", "firing", ["trigger_id", "id"], postgresql_where=sa.text("suppressed = 'rate'"))


def downgrade() -> None:
    op.drop_index("ix_firing_rate", table_name="firing", postgresql_where=sa.text("suppressed = 'rate'"))
    op.drop_index("ix_firing_number", table_name="firing", postgresql_where=sa.text("number IS NOT NULL"))
    op.drop_column("firing", "number")
