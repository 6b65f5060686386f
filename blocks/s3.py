"""Amazon S3, and what speaks its language (MinIO, Ceph, R2...), as a file system."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, BinaryIO, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, BlockError, InvalidInput, NotFound, Unavailable
from orchestrator.interfaces import FileInfo, Folder, clean_path

from .listings import ObservedFiles, Place

# Without the extra the kind can still be listed, and documents of it made in a form; only using one needs it.
try:
    import boto3  # type: ignore[import-untyped,unused-ignore]
    from botocore.config import Config  # type: ignore[import-untyped,unused-ignore]
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped,unused-ignore]
except ImportError:
    boto3 = None
    BotoCoreError = ClientError = OSError

# Clients may be shared by threads; making one may not be done by two at a time.
_connecting = threading.Lock()
_MISSING = {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}
_DENIED = {"401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}


class S3(Block, ObservedFiles):
    """Files of one bucket, below a prefix."""

    _name: ClassVar[str] = "S3"
    _slug: ClassVar[str] = "s3"
    _logo: ClassVar[str] = "tabler:bucket"
    _docs_url: ClassVar[str] = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.s3 import S3

        S3(bucket="flows", region="eu-central-1").save("dev")
        S3.load("dev").write("hello.txt", b"hello")
        """
    _transfers: ClassVar[int] = 8

    bucket: str = Field(min_length=3, max_length=63, description="Name of the bucket; it must exist.")
    prefix: str = Field("", description="Folder in the bucket that all paths are relative to.")
    region: str | None = Field(None, description="Such as eu-central-1; empty: what the computer is configured for.")
    endpoint_url: str | None = Field(None, description="Address of a service other than Amazon's.")
    access_key_id: str | None = Field(None, description="Empty: the computer's own credentials, such as a role.")
    secret_access_key: SecretStr | None = Field(None, description="Goes with the access key id.")
    session_token: SecretStr | None = Field(None, description="Of temporary credentials only.")

    def read(self, path: str) -> bytes:
        """The whole content of a file."""
        buffer = io.BytesIO()
        self.download(path, buffer)
        return buffer.getvalue()

    def download(self, path: str, file: BinaryIO) -> None:
        """Stream a file's content into an open binary file."""
        with self._explained(path):
            body = self._s3().get_object(Bucket=self.bucket, Key=self._key(path))["Body"]
            for chunk in body.iter_chunks(1 << 20):
                file.write(chunk)

    def write(self, path: str, content: bytes | BinaryIO) -> None:
        """Write a file, whole; a large one is sent in parts."""
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        with self._explained(path):
            self._s3().upload_fileobj(_Unclosed(file), self.bucket, self._key(path))

    def list(self, path: str = "") -> Iterator[FileInfo]:
        """All files below a folder, ordered by path."""
        folder = self._key(path, of_file=False)
        start = len(self._key("", of_file=False))
        with self._explained(path or "the bucket"):
            pages = self._s3().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=folder)
            for page in pages:  # in the order of keys, as the service gives them
                for item in page.get("Contents", ()):
                    if not item["Key"].endswith("/"):
                        yield FileInfo(item["Key"][start:], item["Size"], item["LastModified"])

    def browse(self, path: str = "", limit: int = 1000) -> Folder:
        """What lies directly in a folder; what lies further down is not listed."""
        folder = self._key(path, of_file=False)
        start = len(self._key("", of_file=False))
        folders: list[str] = []
        files: list[FileInfo] = []
        with self._explained(path or "the bucket"):
            paginator = self._s3().get_paginator("list_objects_v2")
            for page in paginator.paginate(Bucket=self.bucket, Prefix=folder, Delimiter="/"):
                folders += [item["Prefix"][len(folder) : -1] for item in page.get("CommonPrefixes", ())]
                files += [
                    FileInfo(item["Key"][start:], item["Size"], item["LastModified"])
                    for item in page.get("Contents", ())
                    if not item["Key"].endswith("/")
                ]
                if len(folders) + len(files) > limit:
                    kept = folders[:limit]
                    return Folder(kept, files[: limit - len(kept)], is_cut=True)
        return Folder(folders, files)

    def _place(self) -> Place:
        # The same name may be two buckets in two services.
        host = urlsplit(self.endpoint_url).netloc.rpartition("@")[2] if self.endpoint_url else ""
        bucket = f"s3://{host}/{self.bucket}" if host else f"s3://{self.bucket}"
        prefix = clean_path(self.prefix)
        if not prefix:
            return Place(bucket, "s3.bucket", self.bucket, "s3.folder", "s3.object")
        return Place(f"{bucket}/{prefix}", "s3.folder", f"{self.bucket}/{prefix}", "s3.folder", "s3.object", bucket)

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with all below it."""
        below = [info.path for info in self.list(path)]
        if not below:
            below = [self.stat(path).path]
        with self._explained(path):
            for start in range(0, len(below), 1000):
                keys = [{"Key": self._key(name)} for name in below[start : start + 1000]]
                answer = self._s3().delete_objects(Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True})
                for error in answer.get("Errors", ()):
                    raise AccessDenied(f"s3://{self.bucket}/{error['Key']} cannot be deleted: {error['Message']}")

    def stat(self, path: str) -> FileInfo:
        """Size and time of one file."""
        with self._explained(path):
            facts = self._s3().head_object(Bucket=self.bucket, Key=self._key(path))
        return FileInfo(clean_path(path), facts["ContentLength"], facts["LastModified"])

    def _key(self, path: str, of_file: bool = True) -> str:
        clean = clean_path(path)
        if of_file and not clean:
            raise InvalidInput("the path of a file is empty")
        key = "/".join(part for part in (clean_path(self.prefix), clean) if part)
        return key if of_file or not key else key + "/"

    def _s3(self) -> Any:
        if boto3 is None:
            raise BlockError('the S3 block needs boto3: pip install "orchestrator[s3]"')
        secret = self.secret_access_key.get_secret_value() if self.secret_access_key else None
        token = self.session_token.get_secret_value() if self.session_token else None
        try:
            # A process that was forked opens connections of its own.
            with _connecting:
                return _client(os.getpid(), self.region, self.endpoint_url, self.access_key_id, secret, token)
        except (BotoCoreError, ValueError) as error:
            raise BlockError(f"the S3 block of bucket {self.bucket} cannot be used: {error}") from None

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        where = f"s3://{self.bucket}/{path}"
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _MISSING:
                what = "there is no bucket" if code == "NoSuchBucket" else "there is no file"
                raise NotFound(f"{what} {where}") from None
            if code in _DENIED:
                raise AccessDenied(f"{where}: S3 refuses these credentials ({code})") from None
            raise Unavailable(f"{where}: {error}") from None
        except BotoCoreError as error:
            raise Unavailable(f"{where}: {error}") from None


@lru_cache(maxsize=16)
def _client(_pid: int, region: str | None, endpoint_url: str | None, *keys: str | None) -> Any:
    key_id, secret, token = (key or None for key in keys)
    # What is not Amazon's is addressed by path: there, buckets are rarely host names.
    style = {"addressing_style": "path" if endpoint_url else "auto"}
    retries = {"mode": "standard"}
    return boto3.session.Session().client(
        "s3",
        region_name=region or None,
        endpoint_url=endpoint_url or None,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(connect_timeout=10, read_timeout=60, max_pool_connections=16, retries=retries, s3=style),
    )


class _Unclosed(io.RawIOBase):
    """A reading file that stays open: boto3 closes what it has sent, and the file is the caller's."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)
