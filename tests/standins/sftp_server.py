"""An SFTP server by asyncssh: ``sftp_server.py PORT ROOT HOST_KEY USER_KEY``; user ``user``, by key or password."""

from __future__ import annotations

import asyncio
import sys

import asyncssh


class Server(asyncssh.SSHServer):
    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("user", "secret")


class Files(asyncssh.SFTPServer):
    def __init__(self, channel: asyncssh.SSHServerChannel) -> None:
        super().__init__(channel, chroot=sys.argv[2])


async def main() -> None:
    await asyncssh.create_server(
        Server,
        "127.0.0.1",
        int(sys.argv[1]),
        server_host_keys=[sys.argv[3]],
        authorized_client_keys=sys.argv[4],
        sftp_factory=Files,
    )
    await asyncio.Event().wait()


asyncio.run(main())
