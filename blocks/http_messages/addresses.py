"""Addresses of services, checked when they are written down rather than when they are needed."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr


def check_address(text: str) -> str:
    """An address of HTTP as it was given, without blanks around it.

    Raises:
        ValueError: It is none. The text of the error does not hold the address: it may be a secret.
    """
    text = text.strip()
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        whole = False
    if not whole or any(ord(char) <= 32 or ord(char) == 127 for char in text):
        raise ValueError("write a whole address, such as https://example.com/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("write no user and password into the address: they would be shown")
    return text


def _check_secret(value: SecretStr) -> SecretStr:
    return SecretStr(check_address(value.get_secret_value()))


#: Where a service's API lies, in the open.
HttpAddress = Annotated[str, AfterValidator(check_address), Field(json_schema_extra={"format": "uri"})]
#: An address that is a key as well, as those of incoming webhooks are.
SecretAddress = Annotated[SecretStr, AfterValidator(_check_secret)]


def host_of(url: str) -> str:
    """What of an address may be shown: scheme, host and port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def port_of(url: str) -> int:
    """The port of an address, that of its scheme where it names none."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
