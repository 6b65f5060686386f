"""An account of Amazon Web Services."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, SecretStr, model_validator

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, BlockError, Unavailable
from orchestrator.interfaces import Credentials

from .file_systems import Clients, fingerprint

# Without the extra the kind can still be listed, and documents of it made in a form; only using one needs it.
try:
    import boto3
    from botocore.config import Config
    from botocore.credentials import (
        AssumeRoleCredentialFetcher,
        DeferredRefreshableCredentials,
    )
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    boto3 = None
    BotoCoreError = ClientError = OSError

#: Codes by which services of Amazon refuse an account.
DENIED = {
    *("401", "403", "AccessDenied", "AccessDeniedException", "AuthFailure", "ExpiredToken", "InvalidAccessKeyId"),
    *("InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException", "InvalidToken"),
}
_clients: Clients[Any] = Clients(32)


class AWSCredentials(Block, Credentials):
    """An account of Amazon Web Services, that S3 and other blocks use by reference."""

    _name: ClassVar[str] = "AWS credentials"
    _slug: ClassVar[str] = "aws-credentials"
    _logo: ClassVar[str] = "tabler:brand-aws"
    _docs_url: ClassVar[str] = "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.aws_credentials import AWSCredentials

        AWSCredentials(access_key_id="AKIA...", secret_access_key="...", region="eu-central-1").save("dev")
        queues = AWSCredentials.load("dev").client(service="sqs")
        """

    access_key_id: str | None = Field(
        None,
        description="Empty: the computer's own credentials, such as a role.",
        json_schema_extra={"x-rotates": True},
    )
    secret_access_key: SecretStr | None = Field(None, description="Goes with the access key id.")
    session_token: SecretStr | None = Field(None, description="Of temporary credentials only.")
    region: str | None = Field(None, description="Such as eu-central-1; empty: what the computer is configured for.")
    role_arn: str | None = Field(
        None,
        description="A role to take on with these credentials, such as arn:aws:iam::123456789012:role/reader.",
        pattern=r"^arn:[^:]+:iam::\d{12}:role/.+$",
    )
    endpoint_url: str | None = Field(None, description="Address of a service other than Amazon's, for all of them.")

    @model_validator(mode="after")
    def _whole(self) -> AWSCredentials:
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise ValueError("access_key_id and secret_access_key go together: give both, or none")
        return self

    def client(self, **options: Any) -> Any:
        """A boto3 client, kept for the next call.

        Args:
            options: ``service``, such as ``"s3"`` (the default) or ``"sqs"``; ``region``, ``endpoint_url`` and
                ``path_style`` (buckets are no host names) where they are others than the document's.
        """
        if boto3 is None:
            raise BlockError('AWS credentials need boto3: pip install "orchestrator[s3]"')
        known = {"service": "s3", "region": self.region, "endpoint_url": self.endpoint_url, "path_style": False}
        if unknown := options.keys() - known.keys():
            raise BlockError(f"AWSCredentials.client() takes {', '.join(known)}; not {', '.join(sorted(unknown))}")
        chosen = {**known, **{key: value for key, value in options.items() if value is not None}}
        key = f"{fingerprint(self)} {sorted(chosen.items(), key=str)}"
        try:
            return _clients.get(key, lambda: self._open(**chosen))
        except (BotoCoreError, ValueError) as error:
            raise BlockError(f"AWS credentials cannot be used: {error}") from None

    def test(self) -> str:
        """Ask Amazon who this is."""
        try:
            who = self.client(service="sts").get_caller_identity()
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in DENIED:
                raise AccessDenied(f"AWS refuses these credentials ({code})") from None
            raise Unavailable(f"AWS: {error}") from None
        except BotoCoreError as error:
            raise Unavailable(f"AWS: {error}") from None
        return f"The account {who['Account']}, as {who['Arn']}."

    def _open(self, service: str, region: str | None, endpoint_url: str | None, path_style: bool) -> Any:
        session = self._session()
        style = {"addressing_style": "path" if path_style else "auto"}
        return session.client(
            service,
            region_name=region or None,
            endpoint_url=endpoint_url or None,
            config=_config(s3=style),
        )

    def _session(self) -> Any:
        session = boto3.session.Session(
            aws_access_key_id=self.access_key_id or None,
            aws_secret_access_key=self.secret_access_key.get_secret_value() if self.secret_access_key else None,
            aws_session_token=self.session_token.get_secret_value() or None if self.session_token else None,
            region_name=self.region or None,
        )
        if self.role_arn:
            self._take_on_role(session)
        return session

    def _take_on_role(self, session: Any) -> None:
        inner = session._session

        def open_sts(service: str, **options: Any) -> Any:
            return inner.create_client(
                service,
                config=_config(),
                region_name=self.region or None,
                endpoint_url=self.endpoint_url or None,
                **options,
            )

        source = inner.get_credentials()
        if source is None:
            raise BlockError(
                "role_arn needs credentials that may take the role on: give an access key, or a computer's"
            )
        fetcher = AssumeRoleCredentialFetcher(
            open_sts, source, self.role_arn, extra_args={"RoleSessionName": "orchestrator"}
        )
        # Taken on at the first call, and again before they expire, so that a run of days goes on.
        inner._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")


def _config(**more: Any) -> Any:
    return Config(connect_timeout=10, read_timeout=60, max_pool_connections=16, retries={"mode": "standard"}, **more)
