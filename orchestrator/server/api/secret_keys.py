"""``secret-keys``: what the server's secret keys open, and encrypting all with the first one."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response

from ...clock import now
from ..db.session import reading, transaction
from ..schemas import secret_keys as schemas
from ..services.configuring import secret_keys
from .access import actor, needs
from .resource import Resource, answer

blueprint = Resource("secret-keys", "Secret keys: what encrypts the secrets of blocks; the keys themselves stay put.")


@blueprint.route("/secret-keys/check")
@needs("admin")
@blueprint.response(200, schemas.SecretKeyCheckSchema)
def check_secret_keys() -> Response:
    """Tell which key encrypts how many blocks, and which blocks no key opens."""
    with reading() as session:
        found = secret_keys.check(session)
    return answer(asdict(found))


@blueprint.route("/secret-keys/rotate", methods=["POST"])
@needs("admin")
@blueprint.response(200, schemas.SecretKeyRotationSchema)
def rotate_secret_keys() -> Response:
    """Encrypt some of the blocks with the first key; to be called again until nothing is left."""
    with transaction() as session:
        done = secret_keys.rotate(session, actor(), now())
    return answer(asdict(done))
