"""block types tell what could not be tested, and why they cannot be used"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("block_type", sa.Column("untested", sa.Text(), server_default="", nullable=False))
    op.add_column("block_type", sa.Column("broken", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("block_type", "broken")
    op.drop_column("block_type", "untested")
