"""What several kinds of file system share: connections, stores of objects, folders of other systems, reading only."""

from __future__ import annotations

from .connections import Clients, Connections, fingerprint
from .folders import Folders
from .objects import Objects
from .read_only import ReadOnly

__all__ = ["Clients", "Connections", "Folders", "Objects", "ReadOnly", "fingerprint"]
