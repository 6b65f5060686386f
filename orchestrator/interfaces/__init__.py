"""What blocks can do for each other: small interfaces that a kind of block takes as a base class beside ``Block``.

A field may be typed as an interface (``storage: FileSystem``): any block that has it fits. Their names
(``file-system``, ``notifier``, ...) are what block types tell the server, and what forms offer by. Each has one file;
``tests/contract`` holds a suite of each that every kind passes.
"""

from __future__ import annotations

from .base import Interface
from .credentials import Credentials
from .database import Database
from .discoverable import Discoverable, Observed, Related, Resource
from .file_system import FileInfo, FileSystem, Folder, Progress
from .infrastructure import Elsewhere, Infrastructure, LaunchSpec, ProcessHost, Running
from .job import Job, JobRun
from .notifier import Notifier
from .paths import clean_path, sha256_of, write_whole
from .secret import Secret
from .ticket import Ticket, TicketReference

__all__ = [
    "Credentials",
    "Database",
    "Discoverable",
    "Elsewhere",
    "FileInfo",
    "FileSystem",
    "Folder",
    "Infrastructure",
    "Interface",
    "Job",
    "JobRun",
    "LaunchSpec",
    "Notifier",
    "Observed",
    "ProcessHost",
    "Progress",
    "Related",
    "Resource",
    "Running",
    "Secret",
    "Ticket",
    "TicketReference",
    "clean_path",
    "sha256_of",
    "write_whole",
]
