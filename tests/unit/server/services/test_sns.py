"""Amazon SNS: whose messages are believed, and where we go for them."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from orchestrator.errors import AccessDenied, InvalidInput
from orchestrator.server.schemas.webhooks import SignatureSchema
from orchestrator.server.services.receiving import sns
from orchestrator.server.services.receiving.webhook_signatures import SCHEMES
from orchestrator.server.webhook_presets import PRESETS

CERTIFICATE = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(autouse=True)
def amazon(key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were visited; a certificate lies at each."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, at, at + timedelta(days=9))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    visited: list[str] = []
    monkeypatch.setattr(sns, "visit", lambda address: visited.append(address) or pem)
    sns._certificates.clear()
    return visited


def signed(key: rsa.RSAPrivateKey, version: str, kind: str, **more: str) -> dict[str, Any]:
    message = {
        "Type": kind,
        "MessageId": "22b80b92",
        "TopicArn": "arn:aws:sns:eu-central-1:1:lake",
        "Message": "hello",
        "Timestamp": "2026-02-01T04:00:13.104Z",
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
        **more,
    }
    fields = sorted(set(message) - {"SignatureVersion", "SigningCertURL", "UnsubscribeURL"})
    text = "".join(f"{name}\n{message[name]}\n" for name in fields)
    algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()
    message["Signature"] = base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), algorithm)).decode()
    return message


@pytest.mark.parametrize("version", ["1", "2"])
def test_what_amazon_signed_passes(version: str, key: rsa.RSAPrivateKey, amazon: list[str]) -> None:
    messages = [
        signed(key, version, "Notification"),
        signed(key, version, "Notification", Subject="S3", UnsubscribeURL="https://x"),
        signed(key, version, "SubscriptionConfirmation", Token="t", SubscribeURL="https://x"),
    ]
    for message in messages:
        sns.verify(json.dumps(message).encode())
        for name in ("Message", "TopicArn", "Timestamp"):
            with pytest.raises(AccessDenied):
                sns.verify(json.dumps({**message, name: "another"}).encode())
    assert amazon == [CERTIFICATE]


@pytest.mark.parametrize(
    "changed",
    [
        {"Signature": "%%%"},
        {"Signature": ""},
        {"Type": "Other"},
        {"SigningCertURL": "https://evil.example/x.pem"},
        {"SigningCertURL": "https://sns.eu-central-1.amazonaws.com/x"},
        {"SigningCertURL": "http://sns.eu-central-1.amazonaws.com/x.pem"},
    ],
)
def test_what_amazon_did_not_sign_is_refused(changed: dict[str, str], key: rsa.RSAPrivateKey) -> None:
    with pytest.raises(AccessDenied):
        sns.verify(json.dumps({**signed(key, "2", "Notification"), **changed}).encode())


def test_other_bodies_are_refused() -> None:
    for body in (b"", b"[]", b"no json", b"5"):
        with pytest.raises(AccessDenied):
            sns.verify(body)
        assert sns.subscription(body) is None


@pytest.mark.parametrize(
    ("address", "is_it"),
    [
        ("https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription", True),
        ("https://sns.cn-north-1.amazonaws.com.cn/?Action=ConfirmSubscription", True),
        ("https://sns.us-east-1.amazonaws.com:443/", True),
        ("https://sns.us-east-1.amazonaws.com:8443/", False),
        ("https://sns.us-east-1.amazonaws.com.evil.example/", False),
        ("https://evil.example/sns.us-east-1.amazonaws.com/", False),
        ("https://sns.us-east-1.amazonaws.com@evil.example/", False),
        ("https://evil.example\\@sns.us-east-1.amazonaws.com/", False),
        ("https://bucket.s3.amazonaws.com/", False),
        ("https://sns.a.b.amazonaws.com/", False),
        ("http://sns.us-east-1.amazonaws.com/", False),
        ("https://[::1", False),
        ("https://sns.us-east-1.amazonaws.com:port/", False),
        ("", False),
    ],
)
def test_addresses_of_amazon_sns(address: str, is_it: bool) -> None:
    assert sns.is_amazons(address) is is_it
    body = json.dumps({"Type": "SubscriptionConfirmation", "SubscribeURL": address}).encode()
    if is_it:
        assert sns.subscription(body) == address
    else:
        with pytest.raises(InvalidInput):
            sns.subscription(body)


def test_the_api_knows_every_scheme_of_signature() -> None:
    fields = SignatureSchema().fields
    assert set(fields["scheme"].validators[0].choices) == set(SCHEMES)  # type: ignore[union-attr]
    for preset in PRESETS.values():
        assert preset.signature is None or preset.signature["scheme"] in SCHEMES
