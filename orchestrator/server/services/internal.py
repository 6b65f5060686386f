"""The flow of ours: errands (what agents do for the pages and for discovery) are runs of it.

Lists, counts and events leave its runs and its deployments out; who asks for them by the flow's id gets them.
The migration of discovery makes its row.
"""

from __future__ import annotations

import uuid

FLOW_ID = uuid.UUID("0ec7e44a-0000-7000-8000-000000000001")
FLOW_NAME = "orchestrator.errand"
