"""Messages by Apprise, which knows over a hundred services by an address each."""

from __future__ import annotations

import logging
import re
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, BlockError, InvalidInput, OrchestratorError, Unavailable
from orchestrator.interfaces import Notifier

from .http_messages import cut, masked

# Without the extra the kind can still be listed, and documents of it made in a form; only using one needs it.
try:
    import apprise
except ImportError:
    apprise = None  # type: ignore[assignment,unused-ignore]

# What its plugins log of a refused request.
_STATUS = re.compile(r"error=(\d{3})")


class Apprise(Block, Notifier):
    """Sends messages to one of the services that Apprise knows, by its address."""

    _name: ClassVar[str] = "Apprise"
    _slug: ClassVar[str] = "apprise"
    _logo: ClassVar[str] = "tabler:speakerphone"
    _docs_url: ClassVar[str] = "https://appriseit.com/services/"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.apprise import Apprise

        Apprise(url="ntfy://ntfy.example.com/loads").save("phones")
        Apprise.load("phones").notify("The **daily** load is done.", subject="Loads")
        """

    url: SecretStr = Field(min_length=4, description="Address of the service in Apprise's form, such as ntfy://topic.")

    def notify(self, body: str, subject: str = "") -> None:
        """Send one message; Markdown becomes what the service shows."""
        library, sender = _library(), self._sender()
        limit = min((int(service.body_maxlen) for service in sender), default=0) or 1_000_000
        with library.LogCapture(level=logging.WARNING, fmt="%(message)s") as log:
            taken = sender.notify(body=cut(body, limit), title=subject, body_format=library.NotifyFormat.MARKDOWN)
            said = log.getvalue()
        if not taken:
            raise self._refusal(said)

    def test(self) -> str:
        """Read the address; Apprise has no way to try a service without a message."""
        names = ", ".join(str(service.service_name) for service in self._sender())
        return f"The address is that of {names}; only a message shows whether it takes them."

    def _sender(self) -> Any:
        library = _library()
        sender = library.Apprise()
        with library.LogCapture(level=logging.WARNING, fmt="%(message)s"):  # or it would log the address
            if not sender.add(self.url.get_secret_value()):
                raise InvalidInput("url is no address that Apprise knows: look it up in its list of services")
        return sender

    def _secrets(self) -> tuple[str, ...]:
        """The address, and all that may be a key in it: that is in another place for each service."""
        url = self.url.get_secret_value()
        return (url, *(part for part in re.split(r"[/:@?&=]+", url.partition("://")[2]) if len(part) >= 6))

    def _refusal(self, said: str) -> OrchestratorError:
        words = masked(" ".join(said.split()), self._secrets())[:300] or "it does not say why"
        status = int(found[-1]) if (found := _STATUS.findall(said)) else 0
        if status in (401, 403, 404, 410):
            return AccessDenied(f"the service answered {status}, by Apprise: {words}")
        if 400 <= status < 500 and status not in (408, 429):
            return InvalidInput(f"the service answered {status}, by Apprise: {words}")
        return Unavailable(f"Apprise could not deliver the message: {words}")


def _library() -> Any:
    if apprise is None:
        raise BlockError('the Apprise block needs apprise: pip install "orchestrator[apprise]"')
    return apprise
