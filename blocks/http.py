"""Files that a web server offers, as a file system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from typing import Any, BinaryIO, ClassVar
from urllib.parse import quote, unquote, urljoin, urlsplit

import urllib3
from pydantic import Field, SecretStr, field_validator, model_validator

from orchestrator.block import Block, SecretDict
from orchestrator.errors import AccessDenied, InvalidInput, NotFound, Unavailable
from orchestrator.interfaces import FileInfo, clean_path

from .file_systems import Clients, ReadOnly

#: A page that lists a folder is never larger, in bytes.
MAX_PAGE = 16 << 20
_RETRIES = urllib3.Retry(
    total=3, connect=1, backoff_factor=0.2, status_forcelist=(502, 503, 504), raise_on_status=False
)
_pools: Clients[urllib3.PoolManager] = Clients(2)


class HTTP(ReadOnly, Block):
    """Files that a web server offers below an address, to be read; folders are read off the server's index pages."""

    _name: ClassVar[str] = "HTTP"
    _slug: ClassVar[str] = "http"
    _logo: ClassVar[str] = "tabler:world-download"
    _docs_url: ClassVar[str] = "https://httpd.apache.org/docs/current/mod/mod_autoindex.html"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.http import HTTP

        HTTP(url="https://data.example/exports").save("exports")
        HTTP.load("exports").read("today.csv")
        """
    _transfers: ClassVar[int] = 4
    _what: ClassVar[str] = "a web server"

    url: str = Field(
        description="Address of the folder that all paths are relative to, with no secret in it.",
        pattern=r"^https?://[^/\s]+(/[^\s?#]*)?$",
        json_schema_extra={"x-placeholder": "https://data.example/exports"},
    )
    username: str | None = Field(None, description="Of servers that ask for a name and a password (Basic).")
    password: SecretStr | None = Field(None, description="Goes with the username.")
    token: SecretStr | None = Field(None, description="Of servers that ask for a token (Bearer).")
    headers: SecretDict | None = Field(None, description="More headers to send, such as an API key's; all secret.")
    verify_tls: bool = Field(True, description="Refuse servers whose certificate nobody vouches for.")

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str) -> str:
        if "@" in urlsplit(url).netloc:
            raise ValueError("it holds a name or password, which everyone could read: use username and password")
        return url

    @model_validator(mode="after")
    def _one_login(self) -> HTTP:
        if self.token and (self.username or self.password):
            raise ValueError("token and username both log in: give one of them")
        return self

    def download(self, path: str, file: BinaryIO) -> None:
        """Stream a file's content into an open binary file."""
        with self._asked("GET", self._address(path)) as response, self._explained(path):
            for chunk in response.stream(1 << 20, decode_content=True):
                file.write(chunk)

    def list(self, path: str = "") -> Iterator[FileInfo]:
        """All files below a folder, ordered by path, as the server's index pages link them; each is asked for its size.

        A server that shows no index pages lists nothing.
        """
        clean = clean_path(path)
        try:
            yield from self._walk(clean)
        except NotFound:
            if not clean:
                raise

    def stat(self, path: str) -> FileInfo:
        """Size and time of one file, as far as the server tells."""
        address = self._address(path)
        try:
            with self._asked("HEAD", address) as response:
                return _info(path, response)
        except _NoHead:  # some servers only know GET: the content is left unread
            with self._asked("GET", address) as response:
                return _info(path, response)

    def test(self) -> str:
        """Ask for the folder itself."""
        with self._asked("GET", self._folder("")) as response:
            kind = response.headers.get("Content-Type", "something").partition(";")[0]
        return f"{self.url} answers, with {kind}."

    def _walk(self, folder: str) -> Iterator[FileInfo]:
        for name in sorted(self._names(folder)):
            path = f"{folder}/{name}" if folder else name
            if name.endswith("/"):
                yield from self._walk(path[:-1])
                continue
            try:
                yield self.stat(path)
            except NotFound:  # gone since, or a link of the page that is no file
                continue

    def _names(self, folder: str) -> set[str]:
        address = self._folder(folder)
        with self._asked("GET", address) as response:
            if "html" not in response.headers.get("Content-Type", ""):
                return set()
            with self._explained(folder):
                page = response.read(MAX_PAGE, decode_content=True)
        links = _Links(address)
        links.feed(page.decode("utf-8", errors="replace"))
        return links.names

    def _folder(self, path: str) -> str:
        clean = clean_path(path)
        return self.url.rstrip("/") + "/" + (quote(clean) + "/" if clean else "")

    def _address(self, path: str) -> str:
        if not (clean := clean_path(path)):
            raise InvalidInput("the path of a file is empty")
        return self._folder("") + quote(clean)

    @contextmanager
    def _asked(self, method: str, address: str) -> Iterator[Any]:
        headers = self._headers()
        # What logs in is not sent on to another computer.
        retries = _RETRIES.new(remove_headers_on_redirect=frozenset(name.lower() for name in headers))
        headers["Accept-Encoding"] = "identity"  # sizes are those of the files
        with self._explained(address):
            response = self._pool().request(method, address, headers=headers, retries=retries, preload_content=False)
        try:
            if method == "HEAD" and response.status in (405, 501):
                raise _NoHead
            if response.status in (404, 410):
                raise NotFound(f"there is no file {address}")
            if response.status in (401, 403):
                raise AccessDenied(f"{address}: the server refuses this account ({response.status})")
            # A folder's address without "/" is led to the one with it: it is no file.
            final = response.geturl() or ""
            if final.endswith("/") and not address.endswith("/"):
                raise NotFound(f"there is no file {address}: it is a folder")
            if response.status >= 400 or response.status in range(300, 400):
                raise Unavailable(f"{address}: the server answers {response.status}")
            yield response
        finally:
            if method != "HEAD":  # what was not read of it cannot be skipped
                response.close()
            response.release_conn()

    def _headers(self) -> dict[str, str]:
        headers = {
            str(key): str(value) for key, value in (self.headers.get_secret_value() if self.headers else {}).items()
        }
        if self.token:
            headers["Authorization"] = f"Bearer {self.token.get_secret_value()}"
        elif self.username:
            secret = self.password.get_secret_value() if self.password else ""
            headers.update(urllib3.make_headers(basic_auth=f"{self.username}:{secret}"))
        return headers

    def _pool(self) -> urllib3.PoolManager:
        return _pools.get(str(self.verify_tls), lambda: _open(self.verify_tls))

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        try:
            yield
        except urllib3.exceptions.HTTPError as error:
            cause = getattr(error, "reason", None) or error
            raise Unavailable(f"{self.url} does not answer: {cause}") from None


def _open(verify: bool) -> urllib3.PoolManager:
    return urllib3.PoolManager(
        maxsize=8,
        timeout=urllib3.Timeout(connect=10, read=60),
        cert_reqs="CERT_REQUIRED" if verify else "CERT_NONE",
    )


class _NoHead(Exception):
    """The server does not answer HEAD."""


class _Links(HTMLParser):
    """Names of what an index page links directly below itself; folders end in ``/``."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._base = address
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag != "a" or not href or "?" in href or href.startswith("#"):  # columns of the page are sorted by ?C=N
            return
        target = urljoin(self._base, href.partition("#")[0])
        if not target.startswith(self._base):
            return
        name = unquote(target[len(self._base) :])
        if name.strip("/") and "/" not in name[:-1] and name != "../":
            try:
                clean_path(name)
            except InvalidInput:
                return
            self.names.add(name)


def _info(path: str, response: Any) -> FileInfo:
    length = response.headers.get("Content-Length", "")
    return FileInfo(
        clean_path(path), int(length) if length.isdigit() else 0, _time(response.headers.get("Last-Modified"))
    )


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
