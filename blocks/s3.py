"""Amazon S3, and what speaks its language (MinIO, Ceph, R2...), as a file system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, BlockError, NotFound, OrchestratorError, Unavailable
from orchestrator.interfaces import FileInfo

from .aws_credentials import DENIED, AWSCredentials
from .file_systems import Objects
from .listings import Place

# Without the extra the kind can still be listed, and documents of it made in a form; only using one needs it.
try:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    boto3 = None
    BotoCoreError = ClientError = OSError

_MISSING = {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}


class S3(Objects, Block):
    """Files of one bucket, below a prefix: Amazon's, or of any service that speaks S3."""

    _name: ClassVar[str] = "S3"
    _slug: ClassVar[str] = "s3"
    _logo: ClassVar[str] = "tabler:bucket"
    _docs_url: ClassVar[str] = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.s3 import S3

        S3(bucket="flows", region="eu-central-1").save("dev")
        S3.load("dev").write("hello.txt", b"hello")
        """

    bucket: str = Field(min_length=3, max_length=63, description="Name of the bucket; it must exist.")
    prefix: str = Field("", description="Folder in the bucket that all paths are relative to.")
    credentials: AWSCredentials | None = Field(
        None, description="The account, shared with other blocks; empty: the key below, or the computer's own."
    )
    region: str | None = Field(None, description="Such as eu-central-1; empty: what the computer is configured for.")
    endpoint_url: str | None = Field(None, description="Address of a service other than Amazon's.")
    access_key_id: str | None = Field(
        None,
        description="Empty: the computer's own credentials, such as a role.",
        json_schema_extra={"x-rotates": True},
    )
    secret_access_key: SecretStr | None = Field(None, description="Goes with the access key id.")
    session_token: SecretStr | None = Field(None, description="Of temporary credentials only.")

    @model_validator(mode="after")
    def _one_account(self) -> S3:
        if self.credentials and (self.access_key_id or self.secret_access_key or self.session_token):
            raise ValueError("credentials and access_key_id both name an account: give one of them")
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise ValueError("access_key_id and secret_access_key go together: give both, or none")
        return self

    def _get(self, key: str, file: BinaryIO) -> None:
        body = self._s3().get_object(Bucket=self.bucket, Key=key)["Body"]
        for chunk in body.iter_chunks(1 << 20):
            file.write(chunk)

    def _put(self, key: str, file: BinaryIO) -> None:
        self._s3().upload_fileobj(file, self.bucket, key)

    def _head(self, key: str) -> FileInfo:
        try:
            facts = self._s3().head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            raise self._meaning(error, key) from None
        return FileInfo(key, facts["ContentLength"], facts["LastModified"])

    def _below(self, prefix: str) -> Iterator[FileInfo]:
        pages = self._s3().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        found = (
            FileInfo(item["Key"], item["Size"], item["LastModified"])
            for page in pages
            for item in page.get("Contents", ())
        )
        # Directory buckets alone are listed in no order; they hold what is worked on, never much.
        return iter(sorted(found, key=lambda item: item.path)) if self.bucket.endswith("--x-s3") else found

    def _level(self, prefix: str) -> Iterator[str | FileInfo]:
        paginator = self._s3().get_paginator("list_objects_v2")
        for page in paginator.paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/"):
            yield from (item["Prefix"] for item in page.get("CommonPrefixes", ()))
            for item in page.get("Contents", ()):
                yield FileInfo(item["Key"], item["Size"], item["LastModified"])

    def _place(self) -> Place:
        # The same name may be two buckets in two services.
        address = self.endpoint_url or (self.credentials.endpoint_url if self.credentials else None)
        host = urlsplit(address).netloc.rpartition("@")[2] if address else ""
        return self._resource("s3", f"s3://{host}/{self.bucket}" if host else f"s3://{self.bucket}", self.bucket)

    def _remove(self, keys: Sequence[str]) -> None:
        names = [{"Key": key} for key in keys]
        answer = self._s3().delete_objects(Bucket=self.bucket, Delete={"Objects": names, "Quiet": True})
        for error in answer.get("Errors", ()):
            raise AccessDenied(f"s3://{self.bucket}/{error['Key']} cannot be deleted: {error['Message']}")

    def _where(self) -> str:
        return f"s3://{self.bucket}"

    def _s3(self) -> Any:
        if boto3 is None:
            raise BlockError('the S3 block needs boto3: pip install "orchestrator[s3]"')
        account = self.credentials or AWSCredentials.model_validate(
            {name: getattr(self, name) for name in ("access_key_id", "secret_access_key", "session_token")}
        )
        address = self.endpoint_url or account.endpoint_url
        # What is not Amazon's is addressed by path: there, buckets are rarely host names.
        options = {"region": self.region, "endpoint_url": address or None, "path_style": bool(address)}
        try:
            return account.client(service="s3", **options)
        except BlockError as error:
            raise BlockError(f"the S3 block of bucket {self.bucket}: {error}") from None

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._meaning(error, path) from None
        except BotoCoreError as error:
            raise Unavailable(f"s3://{self.bucket}/{path}: {error}") from None

    def _meaning(self, error: Any, path: str) -> OrchestratorError:
        where = f"s3://{self.bucket}/{path}"
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _MISSING:
            what = "there is no bucket" if code == "NoSuchBucket" else "there is no file"
            return NotFound(f"{what} {where}")
        if code in DENIED:
            return AccessDenied(f"{where}: S3 refuses these credentials ({code})")
        return Unavailable(f"{where}: {error}")
