"""Seals: calls and their outcomes on their way between a flow's process and its workers on other computers.

They are pickles, so nobody else may have written them: each carries an HMAC (SHA-256), whose key the server gives to
both ends alone. What is large lies in the run's storage for results; its hash is under the seal.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from contextlib import suppress

from .. import serializers
from ..errors import InvalidInput
from ..keeping.kept_files import KeptFiles

#: Most bytes that travel with the message itself.
INLINE_MAX = 1024 * 1024
#: Jobs in one request, and bytes of them, about.
BATCH, BATCH_BYTES = 200, 4 * 1024 * 1024
#: What stands first under the seal: the thing itself, or where it lies.
_HERE, _STORED = b"=", b">"
_SIZE = hashlib.sha256().digest_size


class Seal:
    """Seals and opens.

    Args:
        key: The one for the attempt of the flow run.
        files: Where what is large is stored, and read from.
    """

    def __init__(self, key: bytes, files: KeptFiles) -> None:
        self._key, self._files = key, files

    def close(self, job: uuid.UUID, way: str, data: bytes, what: str) -> bytes:
        """Seal something.

        Args:
            job: Which job it is of.
            way: ``order`` or ``outcome``: the one cannot stand for the other.
            what: Names it in messages.

        Raises:
            InvalidInput: It is large, and there is no storage for it.
            Exception: Whatever the storage raises.
        """
        content = _HERE + data
        if len(data) > INLINE_MAX:
            if not self._files.has_block:
                told = f"{what} takes {len(data):,} bytes, and {INLINE_MAX:,} travel without a storage for results"
                raise InvalidInput(f"{told}: build the deployment with --results-block")
            record = self._files.write(f"task-jobs/{job}-{way}", data, here=False)
            content = _STORED + serializers.dumps({**(record or {}), "sha256": hashlib.sha256(data).hexdigest()})
        return self._mac(job, way, content) + content

    def open(self, job: uuid.UUID, way: str, sealed: bytes) -> bytes:
        """What was sealed.

        Raises:
            InvalidInput: The other end of this run did not seal it, or what was stored is another thing now.
            Exception: Whatever the storage raises.
        """
        mac, content = sealed[:_SIZE], sealed[_SIZE:]
        if not hmac.compare_digest(mac, self._mac(job, way, content)):
            raise InvalidInput(f"the {way} of task job {job} was not sealed by this flow run")
        if content[:1] == _HERE:
            return content[1:]
        record = serializers.loads(content[1:])
        data = self._files.read(record)
        if hashlib.sha256(data).hexdigest() != record["sha256"]:
            raise InvalidInput(f"the stored {way} of task job {job} was changed since")
        return data

    def forget(self, sealed: bytes) -> None:
        """Remove what was stored of it, if anything was, and as far as it can be: both ends have seen it."""
        content = sealed[_SIZE:]
        if content[:1] == _STORED:
            with suppress(Exception):  # whatever the storage raises
                self._files.remove(serializers.loads(content[1:]))

    def _mac(self, job: uuid.UUID, way: str, content: bytes) -> bytes:
        return hmac.digest(self._key, b"%s %s " % (job.bytes, way.encode()) + content, "sha256")
