"""What every kind of account promises: a client that works, a refusal that says so, and no word of what is secret."""

from __future__ import annotations

import base64
import contextlib
import json
import multiprocessing
import sys
import time
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from kubernetes.client import VersionApi
from pydantic import SecretStr
from sqlalchemy import make_url, text

from orchestrator.block import Block
from orchestrator.blocks import aws_credentials, azure_credentials, gcp_credentials, ssh_credentials
from orchestrator.blocks.aws_credentials import AWSCredentials
from orchestrator.blocks.azure_blob import AzureBlob
from orchestrator.blocks.azure_credentials import AzureCredentials
from orchestrator.blocks.containers import engine
from orchestrator.blocks.database_credentials import DatabaseCredentials
from orchestrator.blocks.docker_registry import DockerRegistry
from orchestrator.blocks.gcp_credentials import GCPCredentials
from orchestrator.blocks.github_credentials import GitHubCredentials
from orchestrator.blocks.kubernetes_cluster import KubernetesCluster
from orchestrator.blocks.redis import Redis
from orchestrator.blocks.slack_credentials import SlackCredentials
from orchestrator.blocks.smtp_credentials import SMTPCredentials
from orchestrator.blocks.ssh_credentials import SSHCredentials
from orchestrator.errors import AccessDenied, BlockError, OrchestratorError
from orchestrator.interfaces import Credentials

from ..standins import azure, gcs, kubernetes, mail, messengers, s3, trackers
from ..standins.http_service import HttpService, Refused
from ..standins.http_service import Request as HttpRequest
from .kinds import with_interface

#: In every secret that is not the right one.
CANARY = "canary-51d0e7a2"
#: The same as a key of Azure, which is base64.
AZURE_CANARY = base64.b64encode(CANARY.encode()).decode()


@dataclass
class Case:
    """One kind with its service.

    Attributes:
        block: An account that the service takes.
        wrong: The same one after its secret was changed to what the service does not take.
        use: Does something with a client that only works where it is open; it closes what has to be closed.
        try_account: Asks the service for something that needs the account; None: ``test()`` does.
        options: Those of ``client``.
        checking: A state of the service in which it looks at accounts.
        without: Takes away the package that the kind needs, and gives a block that needs it; None: it needs none.
    """

    block: Any
    wrong: Any
    use: Callable[[Any], object]
    try_account: Callable[[Any], object] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    checking: Callable[[], AbstractContextManager[Any]] = nullcontext
    without: Callable[[pytest.MonkeyPatch], Any] | None = None

    def try_it(self, account: Any) -> None:
        """Have the service look at an account."""
        (self.try_account or type(account).test)(account)


Request = pytest.FixtureRequest


class Tokens(HttpService):
    """Google's token service, which knows one key."""

    def __init__(self) -> None:
        super().__init__()
        self.key, self.private_key = new_key()

    def answer(self, request: HttpRequest) -> Any:
        try:
            claims = jwt.decode(request.form()["assertion"], certs=self.key)
        except ValueError:
            raise Refused(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}) from None
        assert claims["exp"] > time.time()
        return {"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"}


class Engine(HttpService):
    """A container engine, as far as it logs in to a registry on a client's behalf."""

    def answer(self, request: HttpRequest) -> Any:
        if request.path.endswith("/auth"):
            if request.json()["password"] != "open sesame":
                raise Refused(401, {"message": "unauthorized: incorrect username or password"})
            return {"Status": "Login Succeeded", "IdentityToken": ""}
        if request.path.endswith("/_ping"):
            return "OK"
        raise Refused(404, {"message": "page not found"})


def new_key() -> tuple[bytes, str]:
    """The public part of a new key, and the private one."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    public = key.public_key().public_bytes(form[0], serialization.PublicFormat.SubjectPublicKeyInfo)
    return public, key.private_bytes(*form).decode()


def _without(module: Any, name: str, block: Any) -> Callable[[pytest.MonkeyPatch], Any]:
    def take(patch: pytest.MonkeyPatch) -> Any:
        patch.setattr(module, name, None)
        return block

    return take


def _unimportable(name: str, block: Any) -> Callable[[pytest.MonkeyPatch], Any]:
    def take(patch: pytest.MonkeyPatch) -> Any:
        patch.setitem(sys.modules, name, None)
        return block

    return take


def _aws(request: Request) -> Case:
    url = request.getfixturevalue("s3_url")
    iam, user = s3.s3_client(url, "iam"), f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    allowed = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    iam.put_user_policy(UserName=user, PolicyName="all", PolicyDocument=json.dumps(allowed))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    block = AWSCredentials(
        access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"], region="us-east-1", endpoint_url=url
    )
    return Case(
        block,
        block.model_copy(update={"secret_access_key": SecretStr(CANARY)}),
        lambda client: client.get_caller_identity()["Arn"].endswith(user),
        options={"service": "sts"},
        checking=lambda: s3.accounts_checked(url),
        without=_without(aws_credentials, "boto3", block),
    )


def _azure(request: Request) -> Case:
    url = request.getfixturevalue("azure_url")
    container, right = azure.new_container(url), azure.connection_string(url)
    block = AzureCredentials(connection_string=SecretStr(right))

    def use(client: Any) -> bool:
        with client:
            return container in {found.name for found in client.list_containers()}

    return Case(
        block,
        AzureCredentials(connection_string=SecretStr(right.replace(azure.KEY, AZURE_CANARY))),
        use,
        lambda account: AzureBlob(container=container, credentials=account).test(),
        without=_without(azure_credentials, "BlobServiceClient", block),
    )


def _database(request: Request) -> Case:
    url = make_url(request.getfixturevalue("services")[0])
    options = {key: str(value) for key, value in url.query.items()}
    place = {"host": url.host, "port": url.port, "database": url.database, "query": options}
    block = DatabaseCredentials(username=url.username, password=url.password, **place)

    def use(client: Any) -> bool:
        try:
            with client.connect() as connection:
                return bool(connection.execute(text("SELECT 1")).scalar() == 1)
        finally:
            client.dispose()

    # Postgres may be told to trust everyone on this computer: only an account that is not there is refused for sure.
    wrong = block.model_copy(update={"username": "nobody_here", "password": SecretStr(CANARY)})
    mysql = DatabaseCredentials(dialect="mysql", host="127.0.0.1", database="shop")
    return Case(block, wrong, use, without=_unimportable("pymysql", mysql))


def _docker(request: Request) -> Case:
    service = request.getfixturevalue("docker_engine")
    block = DockerRegistry(registry="registry.example.com", username="robot", password=SecretStr("open sesame"))
    wrong = block.model_copy(update={"password": SecretStr(CANARY)})
    options = {"docker_host": service.url.replace("http://", "tcp://")}

    def use(client: Any) -> bool:
        with contextlib.closing(client):
            return bool(client.ping())

    taken_away = _without(engine, "DockerClient", block)
    return Case(block, wrong, use, lambda account: account.client(**options), options, without=taken_away)


def _gcp(request: Request) -> Case:
    url, tokens = request.getfixturevalue("gcs_url"), request.getfixturevalue("tokens")
    bucket = gcs.new_bucket(url)

    def account(private_key: str) -> GCPCredentials:
        facts = {"type": "service_account", "client_email": "robot@acme.iam.gserviceaccount.com", "project_id": "acme",
                 "private_key_id": CANARY, "private_key": private_key, "token_uri": tokens.url}  # fmt: skip
        return GCPCredentials(service_account_key=SecretStr(json.dumps(facts)))

    def use(client: Any) -> bool:
        with contextlib.closing(client):
            return bucket in {found.name for found in client.list_buckets()}

    block = account(tokens.private_key)
    options = {"endpoint_url": url}
    taken_away = _without(gcp_credentials, "storage", block)
    return Case(block, account(new_key()[1]), use, options=options, without=taken_away)


def _github(request: Request) -> Case:
    service = request.getfixturevalue("github")
    block = GitHubCredentials(token=SecretStr(service.key), api_url=service.url)
    wrong = block.model_copy(update={"token": SecretStr(CANARY)})
    return Case(block, wrong, lambda client: client.call("GET", "/user").json()["login"] == "robot")


def _kubernetes(request: Request) -> Case:
    cluster = request.getfixturevalue("kubernetes_cluster")
    block = KubernetesCluster(kubeconfig=SecretStr(cluster.kubeconfig))
    wrong = KubernetesCluster(kubeconfig=SecretStr(cluster.kubeconfig.replace(kubernetes.TOKEN, CANARY)))

    def use(client: Any) -> bool:
        try:
            return bool(VersionApi(client).get_code().major == "1")
        finally:
            client.rest_client.pool_manager.clear()

    return Case(block, wrong, use, without=_unimportable("kubernetes.config", block))


def _redis(request: Request) -> Case:
    url, user = request.getfixturevalue("redis_url"), f"user-{uuid.uuid4().hex[:8]}"
    with redis.Redis.from_url(url) as admin:
        admin.acl_setuser(user, enabled=True, passwords=["+open-sesame"], keys=["*"], commands=["+@all"])

    def forget() -> None:
        with redis.Redis.from_url(url) as admin:
            admin.acl_deluser(user)

    request.addfinalizer(forget)
    place = url.rpartition("@")[2].removeprefix("redis://")

    def use(client: Any) -> bool:
        with client:
            return bool(client.ping()) and client.acl_whoami() in (user, user.encode())

    right, wrong = (Redis(url=SecretStr(f"redis://{user}:{word}@{place}")) for word in ("open-sesame", CANARY))
    return Case(right, wrong, use)


def _slack(request: Request) -> Case:
    service = request.getfixturevalue("slack")
    block = SlackCredentials(token=SecretStr(service.key), api_url=f"{service.url}/api")
    wrong = block.model_copy(update={"token": SecretStr(CANARY)})
    return Case(block, wrong, lambda client: client.call("POST", "/auth.test").json()["user"] == "robot")


def _smtp(request: Request) -> Case:
    server = request.getfixturevalue("mail_server")
    block = SMTPCredentials(
        host=server.host,
        port=server.port,
        username=mail.USER,
        password=SecretStr(mail.PASSWORD),
        ca_file=server.ca_file,
    )

    def use(client: Any) -> bool:
        with client:
            return bool(client.noop()[0] == 250)

    wrong = block.model_copy(update={"password": SecretStr(CANARY)})
    return Case(block, wrong, use, lambda account: account.client())


def _ssh(request: Request) -> Case:
    server = request.getfixturevalue("sftp_server")
    block = SSHCredentials(username="user", password=SecretStr("secret"), known_hosts=server.known_hosts)
    options = {"host": "127.0.0.1", "port": server.port}

    def use(client: Any) -> bool:
        with client, client.open_sftp() as files:
            return isinstance(files.listdir("."), list)

    taken_away = _without(ssh_credentials, "paramiko", block)
    wrong = block.model_copy(update={"password": SecretStr(CANARY)})
    return Case(block, wrong, use, lambda account: account.client(**options), options, without=taken_away)


CASES: dict[str, Callable[[Request], Case]] = {
    "aws-credentials": _aws,
    "azure-credentials": _azure,
    "database-credentials": _database,
    "docker-registry": _docker,
    "gcp-credentials": _gcp,
    "github-credentials": _github,
    "kubernetes-cluster": _kubernetes,
    "redis": _redis,
    "slack-credentials": _slack,
    "smtp-credentials": _smtp,
    "ssh-credentials": _ssh,
}


@pytest.fixture(scope="module")
def docker_engine() -> Iterator[Engine]:
    with Engine() as service:
        yield service


@pytest.fixture(scope="module")
def tokens() -> Iterator[Tokens]:
    with Tokens() as service:
        yield service


@pytest.fixture(scope="module")
def github() -> Iterator[trackers.GitHub]:
    with trackers.GitHub() as service:
        yield service


@pytest.fixture(scope="module")
def slack() -> Iterator[messengers.Slack]:
    with messengers.Slack() as service:
        yield service


@pytest.fixture(scope="module")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mail.MailServer]:
    with mail.mail_server(tmp_path_factory.mktemp("mail")) as server:
        yield server


@pytest.fixture(scope="module")
def kubernetes_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kubernetes.Cluster]:
    with kubernetes.cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(params=sorted(CASES))
def case(request: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    # What the person who runs the tests has logged in to is no account of theirs.
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return CASES[request.param](request)


def secrets_of(value: Any) -> list[str]:
    """All secret values of a block, and the parts of those that hold several."""
    found = [item.get_secret_value() for item in vars(value).values() if isinstance(item, SecretStr)]
    return [word for one in found for word in one.replace("\\n", "\n").split() if len(word) > 12] + found


def leaks(text: str, block: Any) -> list[str]:
    """What of a block's secrets stands in a text."""
    return [secret for secret in (CANARY, AZURE_CANARY, *secrets_of(block)) if secret in text]


def test_every_kind_has_a_case() -> None:
    assert set(CASES) == set(with_interface(Credentials))


def test_the_client_works(case: Case) -> None:
    with case.checking():
        assert case.use(case.block.client(**case.options)) is True
        said = case.block.test() if case.try_account is None else ""
    assert not leaks(said, case.block)


def test_an_option_that_is_unknown_is_an_error(case: Case) -> None:
    with pytest.raises((OrchestratorError, TypeError)) as caught:
        case.use(case.block.client(**case.options, no_such_option=1))
    assert not leaks(str(caught.value), case.block)


def test_an_account_that_is_not_taken_is_access_denied(case: Case) -> None:
    with case.checking(), pytest.raises(AccessDenied) as caught:
        case.try_it(case.wrong)
    assert len(str(caught.value).splitlines()) == 1
    assert not leaks("".join(traceback.format_exception(caught.value)), case.wrong)


@pytest.mark.parametrize(
    "show",
    [
        repr, str, "{!r:>9}".format, lambda block: block.model_dump_json(), lambda block: repr(block.model_dump()),
        lambda block: json.dumps(block.model_dump(mode="json")), lambda block: repr(vars(block)),
        lambda block: json.dumps(block.type_facts()),
    ],
)  # fmt: skip
def test_what_is_secret_is_masked_wherever_it_is_shown(case: Case, show: Callable[[Any], str]) -> None:
    assert secrets_of(case.wrong)
    for block in (case.wrong, Block.from_document({**case.wrong.to_document(), "name": "one"})):
        assert not leaks(show(block), case.wrong)


def test_a_package_that_is_missing_is_named_in_one_line(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    if case.without is None:
        assert type(case.block).__module__.rpartition(".")[2] in (
            "github_credentials", "redis", "slack_credentials", "smtp_credentials"
        ), "these need no package beyond the product's own"  # fmt: skip
        return
    block = case.without(monkeypatch)
    assert type(block).type_facts()["slug"]
    with pytest.raises(BlockError, match=r'pip install "orchestrator\[[a-z0-9-]+\]"') as caught:
        block.client(**case.options)
    assert len(str(caught.value).splitlines()) == 1


def test_a_rotated_document_gives_a_client_of_the_new_secret(case: Case) -> None:
    """Clients that were kept for the secret before are of no matter, in neither direction."""
    for _ in range(2):
        right: Any = Block.from_document({**case.block.to_document(), "name": "one"})
        wrong: Any = Block.from_document({**case.wrong.to_document(), "name": "one"})
        with case.checking():
            assert case.use(right.client(**case.options)) is True
            with pytest.raises(AccessDenied):
                case.try_it(wrong)


def test_a_forked_process_uses_the_account_as_its_parent_does(case: Case) -> None:
    def use() -> None:
        assert case.use(case.block.client(**case.options)) is True

    use()
    child = multiprocessing.get_context("fork").Process(target=use)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # this process has threads, as an agent has
        child.start()
    child.join(60)
    code = child.exitcode
    child.kill()
    child.join()
    assert code == 0
    use()
