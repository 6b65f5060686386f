"""What the blocks that look at Redis share: connections by an address that is a secret, and its errors in our words."""

from __future__ import annotations

from .connections import RedisAddress, database_of, explained, opened, place_of

__all__ = ["RedisAddress", "database_of", "explained", "opened", "place_of"]
