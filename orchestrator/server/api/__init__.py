"""The REST API: one file a resource."""

from . import api_keys, health

#: Every resource, in the order of the documentation.
RESOURCES = (
    api_keys.blueprint,
    health.blueprint,
)
