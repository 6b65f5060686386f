def test_s3_prefixes_do_not_mix(s3_url: str) -> None:
    one = make_s3(s3_url, "one")
    other = one.model_copy(update={"prefix": "one-more"})
    one.write("a", b"1")
    other.write("a", b"2")
    assert [info.path for info in one.list()] == ["a"]
    assert one.read("a") == b"1"


def test_s3_without_its_bucket_names_it(s3_url: str) -> None:
    files = S3(bucket="not-there", endpoint_url=s3_url, access_key_id="k", secret_access_key="s", region="us-east-1")
    with pytest.raises(NotFound, match="no bucket s3://not-there"):
        files.write("a", b"")


def test_s3_that_does_not_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    files = S3(
        bucket="any", endpoint_url="http://127.0.0.1:9", access_key_id="k", secret_access_key="s", region="us-east-1"
    )
    with pytest.raises(Unavailable, match="s3://any/a"):
        files.read("a")


def test_s3_refusing_the_key_is_access_denied(s3_url: str) -> None:
    files = make_s3(s3_url)

    @set_initial_no_auth_action_count(0)
    def write() -> None:
        files.write("a", b"")

    with pytest.raises(AccessDenied, match="refuses these credentials"):
        write()


def test_s3_without_its_extra_names_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "boto3", None)
    assert S3.type_facts()["slug"] == "s3"
    with pytest.raises(BlockError, match=r'pip install "orchestrator\[s3\]"'):
        S3(bucket="any").read("a")
