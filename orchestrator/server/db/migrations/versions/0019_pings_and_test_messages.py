"""When a ping last told what, and messages that are sent for a test"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_TOLD = ("last_started", "last_succeeded", "last_failed")


def upgrade() -> None:
    for name in _TOLD:
        op.add_column("ping", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE ping SET last_started = heard WHERE state = 'started'")
    op.execute("UPDATE ping SET last_succeeded = heard WHERE state = 'succeeded'")
    op.execute("UPDATE ping SET last_failed = heard WHERE state = 'failed'")
    op.drop_constraint(op.f("ck_firing_one_cause"), "firing")
    op.create_check_constraint(op.f("ck_firing_one_cause"), "firing", "num_nonnulls(trigger_id, expectation_id) <= 1")
    op.drop_constraint(op.f("ck_action_moment"), "action")
    op.create_check_constraint(op.f("ck_action_moment"), "action", "moment IN ('fire', 'resolve', 'test')")


def downgrade() -> None:
    op.execute("DELETE FROM firing WHERE trigger_id IS NULL AND expectation_id IS NULL")
    op.execute("DELETE FROM action WHERE moment = 'test'")
    op.drop_constraint(op.f("ck_action_moment"), "action")
    op.create_check_constraint(op.f("ck_action_moment"), "action", "moment IN ('fire', 'resolve')")
    op.drop_constraint(op.f("ck_firing_one_cause"), "firing")
    op.create_check_constraint(
        op.f("ck_firing_one_cause"), "firing", "(trigger_id IS NULL) <> (expectation_id IS NULL)"
    )
    for name in reversed(_TOLD):
        op.drop_column("ping", name)
