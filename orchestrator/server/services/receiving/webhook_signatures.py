"""Whether a delivery comes from whom it says: the ways in which systems sign what they send."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ....errors import AccessDenied, InvalidInput
from . import sns


@dataclass(frozen=True)
class Scheme:
    """One way of signing."""

    description: str
    #: What the header holds for a body and a secret; None: the message itself carries its signature.
    expected: Callable[[bytes, str], list[str]] | None


def _hmac(algorithm: str) -> Callable[[bytes, str], list[str]]:
    """Hexadecimal or base64: systems differ, and neither can be taken for the other."""

    def expected(body: bytes, secret: str) -> list[str]:
        digest = hmac.new(secret.encode(), body, algorithm).digest()
        return [digest.hex(), base64.b64encode(digest).decode()]

    return expected


def _hmac_of_form(body: bytes, secret: str) -> list[str]:
    """Monte Carlo's: the JSON object is written as a form of Python texts, and that is signed."""
    try:
        decoded = json.loads(body)
        text = urlencode(decoded) if isinstance(decoded, dict) else ""
    except (ValueError, RecursionError):
        return []
    return [hmac.new(secret.encode(), text.encode(), hashlib.sha512).hexdigest()] if text else []


SCHEMES: Mapping[str, Scheme] = {
    "hmac-sha256": Scheme("HMAC SHA-256 of the body, hexadecimal or base64.", _hmac("sha256")),
    "hmac-sha1": Scheme("HMAC SHA-1 of the body, hexadecimal or base64.", _hmac("sha1")),
    "hmac-sha512": Scheme("HMAC SHA-512 of the body, hexadecimal or base64.", _hmac("sha512")),
    "monte-carlo": Scheme("Monte Carlo's own: HMAC SHA-512 of the body's fields.", _hmac_of_form),
    "token": Scheme("The secret itself.", lambda _body, secret: [secret]),
    "sns": Scheme("Amazon's certificate, which the message names.", None),
}


def check(signature: Mapping[str, Any], secret: str, headers: Mapping[str, str], body: bytes) -> None:
    """Let a delivery pass whose signature is right.

    Args:
        signature: ``{"scheme", "header", "prefix"}``, as webhooks keep it.
        headers: All of the delivery, names in lower case.

    Raises:
        AccessDenied: It is missing or wrong.
    """
    expected = SCHEMES[signature["scheme"]].expected
    if expected is None:
        sns.verify(body)
        return
    name, prefix = str(signature.get("header", "")), str(signature.get("prefix", ""))
    given = headers.get(name.lower())
    if given is None:
        raise AccessDenied(f"the header {name}, which is to carry the signature, is missing")
    if prefix and not given.lower().startswith(prefix.lower()):
        raise AccessDenied(f"the header {name} does not begin with {prefix!r}")
    found = given[len(prefix) :].strip()
    right = [hmac.compare_digest(_comparable(found, text), text.encode()) for text in expected(body, secret)]
    if not any(right):
        raise AccessDenied(f"the signature in the header {name} is wrong: is the secret the same on both sides?")


def checked(signature: Mapping[str, Any] | None, has_secret: bool) -> dict[str, Any] | None:
    """A signature that can be kept. Raises InvalidInput, naming the field."""
    if signature is None:
        return None
    scheme = SCHEMES.get(str(signature.get("scheme", "")))
    if scheme is None:
        raise _wrong("signature", f"scheme: is one of {', '.join(SCHEMES)}")
    if scheme.expected is None:
        return {"scheme": signature["scheme"], "header": "", "prefix": ""}
    if not str(signature.get("header") or "").strip():
        raise _wrong("signature", "header: name the header that carries the signature")
    if not has_secret:
        raise _wrong("secret", "Give the secret that deliveries are signed with.")
    return {
        "scheme": signature["scheme"],
        "header": str(signature["header"]).strip(),
        "prefix": str(signature.get("prefix") or ""),
    }


def _comparable(found: str, text: str) -> bytes:
    """Hexadecimal digits may come in capitals."""
    is_hex = all(character in "0123456789abcdef" for character in text)
    return (found.lower() if is_hex else found).encode()


def _wrong(field: str, problem: str) -> InvalidInput:
    return InvalidInput(f"{field}: {problem}", {field: [problem]})
