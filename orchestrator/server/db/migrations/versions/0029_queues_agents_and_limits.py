"""Limits and labels of deployments, labels and ways of agents, order and draining of work queues"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_COLUMNS = {
    "deployment": (
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("collision", sa.Text(), server_default="enqueue", nullable=False),
        sa.Column("labels", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    ),
    "agent": (
        sa.Column("labels", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("prefixes", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("waterfall", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("prefetch_s", sa.Float(), nullable=True),
        sa.Column("pulled", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unhealthy", sa.Text(), nullable=True),
    ),
    "work_queue": (
        sa.Column("ageing_s", sa.Integer(), nullable=True),
        sa.Column("share_by", sa.Text(), nullable=True),
        sa.Column("draining", sa.DateTime(timezone=True), nullable=True),
    ),
}
#: Few rows each: that they are looked through takes no time.
_CHECKS = {
    "deployment": {
        "limit_not_negative": "concurrency_limit >= 0",
        "collision": "collision IN ('enqueue', 'cancel-new')",
    },
    "agent": {"prefetch_not_negative": "prefetch_s >= 0"},
    "work_queue": {"ageing_positive": "ageing_s > 0"},
}


def upgrade() -> None:
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.add_column(table, column)
        for name, condition in _CHECKS[table].items():
            op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)
    limited = sa.text("concurrency_limit IS NOT NULL")
    op.create_index("ix_deployment_limited", "deployment", ["id"], postgresql_where=limited)


def downgrade() -> None:
    op.drop_index("ix_deployment_limited", "deployment")
    for table, columns in _COLUMNS.items():
        for name in _CHECKS[table]:
            op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
        for column in reversed(columns):
            op.drop_column(table, column.name)
