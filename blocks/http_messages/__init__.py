"""What notifiers, trackers and other speakers of HTTP APIs share: requests, texts that fit, markup, addresses.

Every call has time-outs (10 s to connect, 60 s to read), waits where a service asks to (429, 503 with ``Retry-After``)
but never for long, and tells errors in one line in which no secret stands.
"""

from __future__ import annotations

from .addresses import HttpAddress, SecretAddress, host_of, port_of
from .api import LONGEST_WAIT, Answer, Api, masked
from .markup import atlassian_document, html, telegram_html
from .texts import bytes_in_json, cut, first_line, titled, utf16_units

__all__ = [
    "LONGEST_WAIT",
    "Answer",
    "Api",
    "HttpAddress",
    "SecretAddress",
    "atlassian_document",
    "bytes_in_json",
    "cut",
    "first_line",
    "host_of",
    "html",
    "masked",
    "port_of",
    "telegram_html",
    "titled",
    "utf16_units",
]
