"""results lie in storage blocks"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deployment", sa.Column("results_block_id", sa.UUID(), nullable=True))
    op.add_column("deployment", sa.Column("results_path", sa.Text(), server_default="", nullable=False))
    op.create_foreign_key(
        op.f("fk_deployment_results_block_id"), "deployment", "block", ["results_block_id"], ["id"], ondelete="RESTRICT"
    )
    op.create_index(op.f("ix_deployment_results_block_id"), "deployment", ["results_block_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_deployment_results_block_id"), table_name="deployment")
    op.drop_constraint(op.f("fk_deployment_results_block_id"), "deployment", type_="foreignkey")
    op.drop_column("deployment", "results_path")
    op.drop_column("deployment", "results_block_id")
