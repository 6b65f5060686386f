"""An account of computers that are reached by SSH."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, BlockError, Unavailable
from orchestrator.interfaces import Credentials

# Without the extra the kind can still be listed, and documents of it made in a form; only using one needs it.
try:
    import paramiko
except ImportError:
    paramiko = None


class SSHCredentials(Block, Credentials):
    """An account of computers that are reached by SSH: a key or a password, and the computers that are trusted."""

    _name: ClassVar[str] = "SSH credentials"
    _slug: ClassVar[str] = "ssh-credentials"
    _logo: ClassVar[str] = "tabler:key"
    _docs_url: ClassVar[str] = "https://man.openbsd.org/sshd.8#SSH_KNOWN_HOSTS_FILE_FORMAT"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.ssh_credentials import SSHCredentials

        account = SSHCredentials(username="reports", password="...", known_hosts="files.example ssh-ed25519 AAAA...")
        account.save("files")
        with SSHCredentials.load("files").client(host="files.example") as computer:
            _, output, _ = computer.exec_command("uptime")
        """

    username: str = Field(min_length=1, description="Name of the account.")
    password: SecretStr | None = Field(None, description="Empty: the key below, or the computer's own keys.")
    private_key: SecretStr | None = Field(
        None,
        description="The key itself, as in the file that ssh-keygen wrote, from -----BEGIN to END-----.",
        json_schema_extra={"x-multiline": True},
    )
    passphrase: SecretStr | None = Field(None, description="Opens the private key, where it is encrypted.")
    known_hosts: str = Field(
        "",
        description="The computers' own public keys, as ssh-keyscan prints them; empty: the computer's known_hosts.",
        json_schema_extra={"x-multiline": True},
    )
    check_host_key: bool = Field(
        True, description="Refuse computers that known_hosts does not name. Without it, anyone in between can listen."
    )

    def client(self, **options: Any) -> Any:
        """A connected ``paramiko.SSHClient``, which the caller closes.

        Args:
            options: ``host``, and ``port`` where it is not 22.

        Raises:
            AccessDenied: The computer refuses the account, or is not the one that ``known_hosts`` names.
            Unavailable: It cannot be reached.
        """
        if paramiko is None:
            raise BlockError('SSH credentials need paramiko: pip install "orchestrator[sftp]"')
        host, port = str(options.pop("host", "")), int(options.pop("port", 22))
        if options or not host:
            raise BlockError("SSHCredentials.client() takes host and port")
        client = paramiko.SSHClient()
        self._trust(client)
        own = self.password is None and self.private_key is None
        with self._explained(f"{host}:{port}"):
            try:
                client.connect(
                    host,
                    port=port,
                    username=self.username,
                    password=self.password.get_secret_value() if self.password else None,
                    pkey=self._key(),
                    allow_agent=own,
                    look_for_keys=own,
                    timeout=10,
                    banner_timeout=10,
                    auth_timeout=10,
                    channel_timeout=10,
                )
            except BaseException:
                client.close()
                raise
        return client

    def test(self) -> str:
        """Read the key; no computer is named here to log in to."""
        key = self._key()
        what = f"The private key can be read ({key.get_name()})" if key else "There is no private key to read"
        return f"{what}; a block that uses the account, such as SFTP, tries the login."

    def _trust(self, client: Any) -> None:
        policy = paramiko.RejectPolicy() if self.check_host_key else paramiko.AutoAddPolicy()
        client.set_missing_host_key_policy(policy)
        if not self.check_host_key:
            return
        if not self.known_hosts.strip():
            client.load_system_host_keys()
            return
        known = client.get_host_keys()
        for number, line in enumerate(self.known_hosts.splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                try:
                    entry = paramiko.hostkeys.HostKeyEntry.from_line(line)
                except Exception:  # each kind of key fails in a way of its own
                    entry = None
                if entry is None:
                    raise BlockError(f"known_hosts, line {number}, is no host key: write it as ssh-keyscan prints it")
                for name in entry.hostnames:
                    known.add(name, entry.key.get_name(), entry.key)

    def _key(self) -> Any:
        if self.private_key is None:
            return None
        if paramiko is None:
            raise BlockError('SSH credentials need paramiko: pip install "orchestrator[sftp]"')
        text = self.private_key.get_secret_value().strip() + "\n"
        passphrase = self.passphrase.get_secret_value() if self.passphrase else None
        reasons = []
        for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
            try:
                return kind.from_private_key(io.StringIO(text), password=passphrase)
            except paramiko.PasswordRequiredException:
                raise BlockError("private_key is encrypted: give its passphrase") from None
            except Exception as error:  # another kind's key fails in many ways
                reasons.append(f"{kind.__name__}: {type(error).__name__}")
        raise BlockError(
            "private_key cannot be read: paste an Ed25519, ECDSA or RSA key whole, in OpenSSH's or PEM format, "
            f"and the passphrase that fits it ({', '.join(reasons)})"
        )

    @contextmanager
    def _explained(self, where: str) -> Iterator[None]:
        try:
            yield
        except paramiko.BadHostKeyException:
            raise AccessDenied(
                f"{where} shows another key than known_hosts names: find out why before you change known_hosts"
            ) from None
        except paramiko.AuthenticationException:
            raise AccessDenied(f"{where} refuses the account {self.username}: mend the key or the password") from None
        except (paramiko.SSHException, OSError, EOFError) as error:
            if "not found in known_hosts" in str(error):
                raise AccessDenied(
                    f"{where} is not in known_hosts: check its key (ssh-keyscan {where.partition(':')[0]}) and add it"
                ) from None
            raise Unavailable(f"{where} cannot be reached by SSH: {error or type(error).__name__}") from None
