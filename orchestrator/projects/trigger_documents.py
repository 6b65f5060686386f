"""Triggers as people keep them: YAML files, and Python.

```python
Trigger(
    name="late-orders",
    when={"absent": True, "expect": "order.created", "within": "10m"},
    then=[{"do": "notify", "block": "slack/team"}],
).apply()
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from .. import triggers
from ..client import Client
from ..documents import yaml_texts
from ..errors import InvalidInput

MAX_BYTES = 4 * 1024**2


@dataclass
class Trigger:
    """One trigger document; the fields are those of the YAML form. Durations are seconds, or text such as ``5m``."""

    name: str
    when: Mapping[str, Any]
    then: Sequence[Mapping[str, Any]] = field(default_factory=list)
    on_resolve: Sequence[Mapping[str, Any]] = field(default_factory=list)
    description: str = ""
    owner: str = ""
    severity: str = "warning"
    active: bool = True
    debounce: float | str = 0
    hourly_max: int = 1000

    def document(self) -> dict[str, Any]:
        """The document, read and found good. Raises InvalidInput, whose ``errors`` name the fields."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        triggers.read(found)
        return found

    def sentence(self) -> str:
        """What it says, in plain English. Raises InvalidInput as :meth:`document`."""
        return triggers.sentence(self.document())

    def apply(self, client: Client | None = None) -> dict[str, Any]:
        """Make the trigger of this name on the server be like this; it is made when it is missing.

        Args:
            client: Where to; by default the server that the settings name.

        Returns:
            The trigger as the API shows it.

        Raises:
            InvalidInput: The document is wrong, or names what there is not.
        """
        answer: dict[str, Any] = (client or Client.from_settings()).put("triggers", self.document())
        return answer


def read_file(path: Path, what: str = "a trigger is a mapping with `name`, `when` and `then`") -> list[dict[str, Any]]:
    """The documents of a YAML file, which may hold several. Raises InvalidInput when it cannot be read.

    Args:
        what: What such a document is, for those who gave none.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput(f"{path} is larger than {MAX_BYTES // 1024**2} MiB: that is no file of such documents")
        found = yaml_texts.load_all(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidInput(f"{path}: this is no YAML: {' '.join(str(error).split())}") from None
    if not found or not all(isinstance(item, dict) for item in found):
        raise InvalidInput(f"{path}: {what}")
    return found


def read_one(path: Path) -> dict[str, Any]:
    """The one document of a YAML file. Raises InvalidInput as :func:`read_file`, and when there are several."""
    found = read_file(path)
    if len(found) > 1:
        raise InvalidInput(f"{path} holds {len(found)} triggers: give one")
    return found[0]
