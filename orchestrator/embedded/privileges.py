"""Who runs the embedded servers: this user, or, for root, an account without privileges."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingsError

#: Tried in this order; the first that the machine knows is used.
ACCOUNTS = ("orchestrator", "postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """A user of this machine without privileges."""

    name: str
    uid: int
    gid: int

    def may_pass(self, folder: Path) -> bool:
        """Whether this user may enter ``folder`` and all folders above it; those that do not exist count as open."""
        return all(self._may_enter(part) for part in (folder, *folder.parents))

    def own(self, path: Path, mode: int) -> None:
        """Give this user ``path`` with ``mode``."""
        os.chown(path, self.uid, self.gid)
        path.chmod(mode)

    def _may_enter(self, folder: Path) -> bool:
        try:
            facts = folder.stat()
        except FileNotFoundError:
            return True
        if facts.st_uid == self.uid:
            return bool(facts.st_mode & 0o100)
        if facts.st_gid == self.gid:
            return bool(facts.st_mode & 0o010)
        return bool(facts.st_mode & 0o001)


def unprivileged() -> Account | None:
    """The account to drop to; None when this process is not root, and nothing is to be dropped.

    Raises:
        SettingsError: This is root, and the machine has none of :data:`ACCOUNTS`.
    """
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise SettingsError(
        "Postgres does not run as root, and this machine has no user orchestrator, postgres or nobody: add one"
        " (useradd --system orchestrator), or set ORCHESTRATOR_DATABASE_URL and ORCHESTRATOR_REDIS_URL"
    )


def give(path: Path, account: Account | None, mode: int) -> None:
    """Set the mode of ``path``, and its owner where privileges are dropped."""
    if account is None:
        path.chmod(mode)
    else:
        account.own(path, mode)
