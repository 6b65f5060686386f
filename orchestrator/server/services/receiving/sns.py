"""Amazon SNS: whose messages they are, and saying yes to a subscription.

A message names the certificate that it is signed with, and a subscription the address to visit: both are followed to
Amazon's own hosts only. The order of what is signed is that of Amazon's documentation.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import urllib3
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from ....errors import AccessDenied, InvalidInput, Unavailable
from ....serializers import loads

#: Kinds of message with the fields that are signed, in this order.
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_HOST = re.compile(r"sns\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")
#: Largest answer that is read, in bytes; certificates that are remembered.
_ANSWER_MAX, _KEPT_MAX = 64 * 1024, 16

_pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=5), retries=False)
_certificates: dict[str, bytes] = {}
_lock = threading.Lock()


def verify(body: bytes) -> None:
    """Let a message pass that Amazon signed.

    Raises:
        AccessDenied: It did not, or the message is none of SNS.
        Unavailable: The certificate cannot be fetched now.
    """
    message = read(body)
    fields = _SIGNED.get(str(message.get("Type")))
    if fields is None:
        raise AccessDenied("the message is none of SNS: its Type is neither Notification nor a confirmation")
    signed = "".join(f"{name}\n{message[name]}\n" for name in fields if message.get(name) is not None)
    try:
        signature = base64.b64decode(str(message.get("Signature", "")), validate=True)
        certificate = x509.load_pem_x509_certificate(_certificate(str(message.get("SigningCertURL", ""))))
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise InvalidSignature
        algorithm = SHA256() if message.get("SignatureVersion") == "2" else SHA1()  # noqa: S303  (version 1 is SHA-1)
        key.verify(signature, signed.encode(), padding.PKCS1v15(), algorithm)
    except (InvalidSignature, binascii.Error, ValueError):
        raise AccessDenied("the message's signature is not Amazon's") from None


def subscription(body: bytes) -> str | None:
    """The address to visit when the message asks for a subscription; None when it does not.

    Raises:
        InvalidInput: The address is none of Amazon's.
    """
    try:
        message = read(body)
    except AccessDenied:
        return None
    if message.get("Type") != "SubscriptionConfirmation":
        return None
    address = str(message.get("SubscribeURL", ""))
    if not is_amazons(address):
        raise InvalidInput("SubscribeURL does not lead to Amazon SNS: it is not visited")
    return address


def confirm(address: str) -> None:
    """Say yes to a subscription. Raises Unavailable when Amazon does not take it."""
    visit(address)


def is_amazons(address: str) -> bool:
    """Whether an address is one of Amazon SNS: https, its own host, the usual port, no name or password."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    plain = parts.username is None and parts.password is None and port in (None, 443)
    return parts.scheme == "https" and plain and _HOST.fullmatch(host) is not None and "\\" not in address


def visit(address: str) -> bytes:
    """What lies at one of Amazon's addresses; redirects are not followed. Raises Unavailable."""
    try:
        answer = _pool.request("GET", address, redirect=False, preload_content=False)
        try:
            content: bytes = answer.read(_ANSWER_MAX)
        finally:
            answer.release_conn()
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable(f"{urlsplit(address).hostname} does not answer: {type(error).__name__}") from None
    if answer.status != 200:
        raise Unavailable(f"{urlsplit(address).hostname} answers {answer.status}")
    return content


def read(body: bytes) -> Mapping[str, Any]:
    """A message of SNS. Raises AccessDenied for anything else."""
    try:
        message = loads(body)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise AccessDenied("the message is none of SNS: it is no JSON object")
    return message


def _certificate(address: str) -> bytes:
    if not is_amazons(address) or not urlsplit(address).path.endswith(".pem"):
        raise AccessDenied("SigningCertURL does not lead to a certificate of Amazon SNS")
    with _lock:
        known = _certificates.get(address)
    if known is None:
        known = visit(address)
        with _lock:
            if len(_certificates) >= _KEPT_MAX:
                _certificates.clear()
            _certificates[address] = known
    return known
