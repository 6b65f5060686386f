"""An account of Google Cloud."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from pydantic import Field, SecretStr, field_validator

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, BlockError, Unavailable
from orchestrator.interfaces import Credentials

# Without the extra the kind can still be listed, and documents of it made in a form; only using one needs it.
try:
    import google.auth
    import google.auth.exceptions
    import google.auth.transport.requests
    import requests
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage
    from google.oauth2 import service_account
except ImportError:
    storage = None

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_PARTS = ("client_email", "private_key", "token_uri")


class GCPCredentials(Block, Credentials):
    """An account of Google Cloud, that GCS and other blocks use by reference."""

    _name: ClassVar[str] = "GCP credentials"
    _slug: ClassVar[str] = "gcp-credentials"
    _logo: ClassVar[str] = "tabler:brand-google"
    _docs_url: ClassVar[str] = "https://cloud.google.com/iam/docs/keys-create-delete"
    _code_example: ClassVar[str] = """
        from pathlib import Path

        from orchestrator.blocks.gcp_credentials import GCPCredentials

        GCPCredentials(service_account_key=Path("key.json").read_text()).save("dev")
        client = GCPCredentials.load("dev").client()
        """

    service_account_key: SecretStr | None = Field(
        None,
        description="Content of the service account's JSON key; empty: the computer's own credentials.",
        json_schema_extra={"x-multiline": True},
    )
    project: str | None = Field(None, description="Empty: the one of the key, or the computer's.")
    anonymous: bool = Field(False, description="Use no account: for what is public, and for emulators.")

    @field_validator("service_account_key")
    @classmethod
    def _is_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is None or not key.get_secret_value().strip():
            return None
        try:
            facts = json.loads(key.get_secret_value())
        except ValueError:
            raise ValueError("it is no JSON: paste the whole key file that Google Cloud gave") from None
        if not isinstance(facts, dict) or any(not isinstance(facts.get(part), str) for part in _PARTS):
            raise ValueError(f"it is no key of a service account: {', '.join(_PARTS)} must be in it")
        return key

    def google(self) -> Any:
        """The account as Google's libraries take it: ``google.auth.credentials.Credentials``."""
        if storage is None:
            raise BlockError('GCP credentials need google-cloud-storage: pip install "orchestrator[gcs]"')
        if self.anonymous:
            return AnonymousCredentials()
        try:
            if self.service_account_key is not None:
                facts = json.loads(self.service_account_key.get_secret_value())
                return service_account.Credentials.from_service_account_info(facts, scopes=_SCOPES)
            return google.auth.default(scopes=_SCOPES)[0]
        except google.auth.exceptions.DefaultCredentialsError:
            raise BlockError(
                "this computer has no credentials of Google Cloud: give service_account_key, or set "
                "GOOGLE_APPLICATION_CREDENTIALS on it"
            ) from None
        except (ValueError, google.auth.exceptions.GoogleAuthError):
            raise BlockError("service_account_key cannot be used: paste the key file that Google Cloud gave") from None

    def client(self, **options: Any) -> Any:
        """A ``google.cloud.storage.Client``; ``endpoint_url`` where it is not Google's own service."""
        account = self.google()
        endpoint = options.pop("endpoint_url", None)
        if options:
            raise BlockError("GCPCredentials.client() takes endpoint_url")
        where = {"client_options": {"api_endpoint": endpoint}} if endpoint else {}
        project = self.project or getattr(account, "project_id", None)
        client = storage.Client(project=project, credentials=account, **where)
        # It would ask for facts of each bucket, in a thread of its own, for traces that nobody takes here.
        client._bucket_metadata_cache = None
        return client

    def test(self) -> str:
        """Ask Google for a token."""
        account = self.google()
        if self.anonymous:
            return "There is no account to try: these credentials are anonymous."
        try:
            with requests.Session() as session:
                account.refresh(google.auth.transport.requests.Request(session=session))
        except google.auth.exceptions.TransportError as error:
            raise Unavailable(f"Google's token service cannot be reached: {error}") from None
        except google.auth.exceptions.GoogleAuthError:
            raise AccessDenied("Google refuses these credentials: make a new key of the service account") from None
        return f"Google gave a token to {getattr(account, 'service_account_email', 'this computer')}."
