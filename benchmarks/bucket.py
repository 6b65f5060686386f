"""A stand-in of S3 that lists long buckets quickly, as a process of its own: ``python -m benchmarks.bucket``.

It answers ListObjectsV2 page by page out of a sorted list, as S3 does, and takes small objects. moto, which all tests
use, sorts all keys anew for each page: one listing of 100,000 keys takes it minutes, and those would be measured.
"""

from __future__ import annotations

import bisect
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

_PAGE = 1000
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class _Handler(BaseHTTPRequestHandler):
    """One bucket for each number that is asked for: ``bucket-1000`` holds 1,000 keys from its first use on."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    buckets: ClassVar[dict[str, list[str]]] = {}

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if query.get("list-type") != "2" or "delimiter" in query:
            return self._send(501, "<Error><Code>NotImplemented</Code></Error>")
        return self._send(200, self._page(parts.path.strip("/"), query))

    def do_PUT(self) -> None:
        bucket, _, key = unquote(urlsplit(self.path).path).strip("/").partition("/")
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        keys = self._keys(bucket)
        place = bisect.bisect_left(keys, key)
        if keys[place : place + 1] != [key]:
            keys.insert(place, key)
        self._send(200, "")

    def log_message(self, *words: Any) -> None:
        pass

    def _page(self, bucket: str, query: dict[str, str]) -> str:
        keys, prefix = self._keys(bucket), query.get("prefix", "")
        after = query.get("continuation-token") or query.get("start-after")
        start = bisect.bisect_right(keys, after) if after else bisect.bisect_left(keys, prefix)
        most = min(_PAGE, int(query.get("max-keys", _PAGE)))
        found = [key for key in keys[start : start + most] if key.startswith(prefix)]
        is_cut = bool(found) and start + most < len(keys) and keys[start + most].startswith(prefix)
        more = f"<NextContinuationToken>{escape(found[-1])}</NextContinuationToken>" if is_cut else ""
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="{_NAMESPACE}"><Name>{bucket}</Name>'
            f"<Prefix>{quote(prefix)}</Prefix><MaxKeys>{most}</MaxKeys><EncodingType>url</EncodingType>"
            f"<KeyCount>{len(found)}</KeyCount><IsTruncated>{str(is_cut).lower()}</IsTruncated>{more}"
            + "".join(map(_content, found))
            + "</ListBucketResult>"
        )

    def _keys(self, bucket: str) -> list[str]:
        if bucket not in self.buckets:
            count = int(bucket.rpartition("-")[2])
            self.buckets[bucket] = sorted(f"raw/day={number % 365:03}/part-{number:07}.csv" for number in range(count))
        return self.buckets[bucket]

    def _send(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _content(key: str) -> str:
    size = sum(key.encode()) * 1000  # a size of its own, the same at each listing
    return (
        f"<Contents><Key>{quote(key)}</Key><LastModified>2026-01-31T02:00:00.000Z</LastModified>"
        f"<ETag>&quot;{size:032x}&quot;</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


@contextmanager
def serving() -> Iterator[str]:
    """Address of a running stand-in."""
    tree = str(Path(__file__).resolve().parent.parent)
    words = [sys.executable, "-m", "benchmarks.bucket"]
    server = subprocess.Popen(words, cwd=tree, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(10)
        if server.stdout is not None:
            server.stdout.close()


def main() -> None:
    """Serve until the process is ended; the first line that is printed is the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
