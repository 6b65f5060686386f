"""Agreeing to be delivered to: the handshake of CloudEvents' HTTP webhooks 1.0, section 4, Abuse Protection.

A sender that takes any address from anyone asks the address first, by OPTIONS, whether it expects deliveries. The
answer of one that does not lacks the header fields of permission, whatever its status. Permission is given at once or
not at all: nothing is ever sent to the address that ``WebHook-Request-Callback`` names.
"""

from __future__ import annotations

import re

from flask import Request, Response

from .errors import Refused

#: A name of the DNS, or an expression of several.
_ORIGIN = re.compile(r"[A-Za-z0-9*_-]+(\.[A-Za-z0-9*_-]+)*(:\d{1,5})?")
_ORIGIN_MAX = 253


def agree(request: Request, allowed: str, minute_max: int | None = None) -> Response:
    """Answer an OPTIONS request to an address that takes deliveries from whoever asks.

    Args:
        allowed: Methods of the address.
        minute_max: Deliveries a minute that are taken; None: as many as there are.

    Raises:
        Refused: Origin or rate are not what the specification says.
    """
    answer = Response(status=200, headers={"Allow": allowed})
    origin = request.headers.get("WebHook-Request-Origin")
    if origin is None:
        return answer
    if len(origin) > _ORIGIN_MAX or not _ORIGIN.fullmatch(origin):
        raise Refused(400, "WebHook-Request-Origin: must be the DNS name of the sender, such as events.example.com")
    rate = request.headers.get("WebHook-Request-Rate")
    if rate is not None and not (rate.isascii() and rate.isdecimal() and int(rate[:12]) > 0):
        raise Refused(400, "WebHook-Request-Rate: must be a whole number of deliveries a minute, 1 or more")
    answer.headers["WebHook-Allowed-Origin"] = origin
    answer.headers["WebHook-Allowed-Rate"] = "*" if minute_max is None else str(minute_max)
    return answer
