"""Where the embedded data lies, and making folders that the account which runs the servers can reach."""

from __future__ import annotations

from pathlib import Path

from ..errors import SettingsError
from ..settings import Settings
from .privileges import Account

#: Where the data of a server that root starts lies: root's own home is closed to the account that runs Postgres.
SYSTEM_FOLDER = Path("/var/lib/orchestrator")


def data_folder(
    settings: Settings, *, home_given: bool, account: Account | None, system: Path = SYSTEM_FOLDER
) -> tuple[Path, str | None]:
    """The folder of the embedded data, and a line to show when it is not where one would look for it.

    Args:
        settings: ``data_dir`` wins; else the folder is below ``home``, or for root ``system``.
        home_given: Whether somebody chose ``ORCHESTRATOR_HOME``.
        account: Whom the servers run as when this is root; None for anybody else.

    Raises:
        SettingsError: ``data_dir`` is a folder that ``account`` may not reach.
    """
    home = settings.path("data").absolute()
    if settings.data_dir:
        chosen = Path(settings.data_dir).expanduser().absolute()
        if account is not None and not account.may_pass(chosen):
            raise SettingsError(
                f"ORCHESTRATOR_DATA_DIR is {chosen}, which the user {account.name}, as whom Postgres runs, may not"
                f" enter: choose a folder that all may pass through, such as {system}"
            )
        return chosen, None
    if account is None:
        return home, None
    if not home_given:
        return system, None
    if account.may_pass(home):
        return home, None
    return system, f"data is kept in {system}: the user {account.name}, as whom Postgres runs, may not enter {home}"


def make_folder(path: Path, account: Account | None) -> None:
    """Make a folder and those above it; new ones can be passed through by ``account``, whatever the umask."""
    missing = [part for part in (path, *path.parents) if not part.exists()]
    path.mkdir(parents=True, exist_ok=True)
    if account is not None:
        for part in missing:
            part.chmod(0o711)
