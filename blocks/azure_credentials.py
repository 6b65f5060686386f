"""An account of Azure."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, SecretStr, model_validator

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, BlockError, Unavailable
from orchestrator.interfaces import Credentials

# Without the extra the kind can still be listed, and documents of it made in a form; only using one needs it.
try:
    from azure.core.exceptions import (
        AzureError,
        ClientAuthenticationError,
    )
    from azure.identity import (
        ClientSecretCredential,
        CredentialUnavailableError,
        DefaultAzureCredential,
    )
    from azure.storage.blob import BlobServiceClient
except ImportError:
    BlobServiceClient = None

#: More than 8 MiB of a blob are never held: neither when it is sent nor when it is fetched.
_OPTIONS = {
    "connection_timeout": 10,
    "read_timeout": 60,
    "retry_total": 3,
    "initial_backoff": 0.5,
    "increment_base": 1.5,
    "random_jitter_range": 1,
    "max_single_put_size": 8 << 20,
    "max_block_size": 8 << 20,
    "max_single_get_size": 8 << 20,
    "max_chunk_get_size": 8 << 20,
}


class AzureCredentials(Block, Credentials):
    """An account of Azure, that Azure Blob Storage and other blocks use by reference: one of four ways to log in."""

    _name: ClassVar[str] = "Azure credentials"
    _slug: ClassVar[str] = "azure-credentials"
    _logo: ClassVar[str] = "tabler:brand-azure"
    _docs_url: ClassVar[str] = "https://learn.microsoft.com/azure/storage/common/authorize-data-access"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.azure_credentials import AzureCredentials

        AzureCredentials(tenant_id="...", client_id="...", client_secret="...").save("dev")
        blobs = AzureCredentials.load("dev").client(account_name="flows")
        """

    tenant_id: str | None = Field(None, description="Of an application (service principal); with the next two.")
    client_id: str | None = Field(None, description="Of an application; all empty: the computer's own credentials.")
    client_secret: SecretStr | None = Field(None, description="Of an application.")
    account_key: SecretStr | None = Field(None, description="Or: one of a storage account's two keys.")
    sas_token: SecretStr | None = Field(None, description="Or: a shared access signature.")
    connection_string: SecretStr | None = Field(
        None, description="Or: a storage account's connection string, which names the account as well."
    )

    @model_validator(mode="after")
    def _one_way(self) -> AzureCredentials:
        principal = [bool(part) for part in (self.tenant_id, self.client_id, self.client_secret)]
        if any(principal) and not all(principal):
            raise ValueError("tenant_id, client_id and client_secret go together: give all three, or none")
        if (
            sum([any(principal), *(bool(way) for way in (self.account_key, self.sas_token, self.connection_string))])
            > 1
        ):
            raise ValueError("these name more than one way to log in: give an application, a key, a SAS or a string")
        return self

    def token(self) -> Any:
        """The account as Azure's libraries take it: a ``TokenCredential``. Raises BlockError: it is none of Entra's."""
        self._needs_packages()
        if self.tenant_id and self.client_id and self.client_secret:
            return ClientSecretCredential(self.tenant_id, self.client_id, self.client_secret.get_secret_value())
        if self.account_key or self.sas_token or self.connection_string:
            raise BlockError(
                "these credentials open one storage account only: give tenant_id, client_id, client_secret"
            )
        return DefaultAzureCredential()

    def client(self, **options: Any) -> Any:
        """An ``azure.storage.blob.BlobServiceClient``.

        Args:
            options: ``account_name``, which a connection string brings itself; ``endpoint_url`` where the account's
                address is not ``https://<name>.blob.core.windows.net``.
        """
        self._needs_packages()
        name, endpoint = options.pop("account_name", None), options.pop("endpoint_url", None)
        if options:
            raise BlockError("AzureCredentials.client() takes account_name and endpoint_url")
        try:
            if self.connection_string:
                text = self.connection_string.get_secret_value()
                return BlobServiceClient.from_connection_string(text, **_OPTIONS)
            if not (name or endpoint):
                raise BlockError("account_name is empty: name the storage account")
            url = endpoint or f"https://{name}.blob.core.windows.net"
            return BlobServiceClient(url, credential=self._key(name), **_OPTIONS)
        except ValueError:
            raise BlockError(
                "the credentials of Azure cannot be used: check account_name and the key or string"
            ) from None

    def test(self) -> str:
        """Ask Azure for a token."""
        if self.account_key or self.sas_token or self.connection_string:
            return "They open one storage account: the block of that account tries them."
        try:
            self.token().get_token("https://storage.azure.com/.default")
        except CredentialUnavailableError:
            raise AccessDenied(
                "this computer has no credentials of Azure: give tenant_id, client_id, client_secret"
            ) from None
        except ClientAuthenticationError:
            raise AccessDenied("Azure refuses these credentials: make a new secret of the application") from None
        except AzureError as error:
            raise Unavailable(f"Azure's login cannot be reached: {' '.join(str(error).split())}") from None
        return "Azure gave a token."

    def _key(self, account_name: str | None) -> Any:
        if self.account_key:
            key = self.account_key.get_secret_value()
            return {"account_name": account_name, "account_key": key} if account_name else key
        return self.sas_token.get_secret_value() if self.sas_token else self.token()

    @staticmethod
    def _needs_packages() -> None:
        if BlobServiceClient is None:
            raise BlockError(
                'Azure credentials need azure-storage-blob and azure-identity: pip install "orchestrator[azure]"'
            )
