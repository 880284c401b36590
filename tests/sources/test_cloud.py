"""Buckets: addresses, and errors where nobody answers; what lies in them is in test_s3."""

from __future__ import annotations

import importlib.util
import socket
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ckptscan.errors import (
    SourceError,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
    UsageError,
)
from ckptscan.sources.access import Access
from ckptscan.sources.cloud import open_cloud
from ckptscan.sources.cloud.address import Address, endpoint, parse
from ckptscan.sources.cloud.refusals import explained
from ckptscan.sources.ranged import RangedSource
from tests.sources.moto import forget_the_users_clouds
from tests.sources.programs import free_port


@pytest.fixture(autouse=True)
def _no_cloud_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_the_users_clouds(monkeypatch, tmp_path / "cache")


def opened(spec: str, **access: Any) -> RangedSource:
    return open_cloud(spec, spec, Access(**{"timeout": 30.0, **access}))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("s3://b1", Address("s3", "s3://b1", "b1", "", None)),
        ("s3://b1/", Address("s3", "s3://b1", "b1", "", None)),
        ("s3://b1/a/b/", Address("s3", "s3://b1", "b1", "a/b", None)),
        ("gs://b_1/a b/c+%2F", Address("gs", "gs://b_1", "b_1", "a b/c+%2F", None)),
        ("s3://b1/x.safetensors", Address("s3", "s3://b1", "b1", "x.safetensors", "file")),
        ("s3://b1/x.safetensors/", Address("s3", "s3://b1", "b1", "x.safetensors", None)),
        (
            "az://c/m/model.safetensors.index.json",
            Address("az", "az://c", "c", "m/model.safetensors.index.json", "index"),
        ),
        ("az://$web/m", Address("az", "az://$web", "$web", "m", None)),
        (
            "abfss://c@acct.dfs.core.windows.net/m",
            Address("az", "abfss://c@acct.dfs.core.windows.net", "c", "m", None),
        ),
    ],
)
def test_an_address_names_a_bucket_and_a_place_in_it(spec: str, expected: Address) -> None:
    assert expected == parse(spec, spec)


@pytest.mark.skipif(sys.platform != "linux", reason="authorities come from elsewhere")
def test_a_system_without_authorities_is_lent_those_of_mozilla(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("obstore")
    pytest.importorskip("certifi")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(SourceUnreachable):
        opened("s3://b1/x", timeout=1.0, anonymous=True)

    monkeypatch.setattr("certifi.where", lambda: str(tmp_path / "none.pem"))
    with pytest.raises(UsageError, match="no certificate authorities"):
        opened("s3://b1/x", timeout=1.0, anonymous=True)


@pytest.mark.parametrize(
    "spec",
    [
        "s3://",
        "s3:///x",
        "s3://key:secret@bucket/x",
        "s3://b c/x",
        "s3://b?x=1",
        "s3://b1//x",
        "s3://b1/../x",
        "s3://b1/x//",
        "s3://b1/a\x1bb",
        "ftp://b1/x",
        "gs://c@account.host/x",
    ],
)
def test_what_names_no_bucket_is_a_usage_error(spec: str) -> None:
    with pytest.raises(UsageError, match=r"^SHOWN: no (name of|path in) a bucket$"):
        parse(spec, "SHOWN")


def test_without_obstore_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(UsageError) as caught:
        opened("s3://b1/x")

    assert "s3://b1/x: needs obstore" == caught.value.message
    assert "pip install 'ckptscan[cloud]', with Python 3.11 or newer" == caught.value.hint


def test_offline_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceUnreachable, match="requests are forbidden"):
        opened("gs://b1/x", offline=True)


def test_the_endpoint_is_the_first_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "" == endpoint("s3")
    monkeypatch.setenv("AWS_ENDPOINT", "http://a")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://b")
    assert "http://b" == endpoint("s3")
    assert "" == endpoint("gs")


HTTP = "Generic S3 error: Error performing GET https://b/x?X-Amz-Signature=SECRET in 5s - "


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("Server returned non-2xx status code: 404 Not Found: <Code>NoSuchBucket</Code>",
         SourceNotFound, "there is no such bucket"),
        ("Server returned non-2xx status code: 404 Not Found:", SourceNotFound,
         "is not in its bucket"),
        ("Server returned non-2xx status code: 403 Forbidden:", SourceRefused, "refuses it"),
        ("Error performing PUT http://169.254.169.254/latest/api/token", SourceRefused,
         "no credentials are found"),
        ("Server returned non-2xx status code: 301 Moved:", SourceUnreachable, "another region"),
        ("Server returned non-2xx status code: 503 Slow:", SourceUnreachable, "answers (503)"),
        ("HTTP error: operation timed out", SourceUnreachable, "no answer in time"),
        ("HTTP error: error sending request: dns error", SourceUnreachable, "host is not known"),
        ("HTTP error: error sending request", SourceUnreachable, "no connection"),
        ("after 1 retries, max_retries: 1, retry_timeout: 5s", SourceUnreachable,
         "it fails (RuntimeError)"),
    ],
)  # fmt: skip
def test_a_failure_is_told_in_few_words_and_none_of_its_own(
    text: str, kind: type[SourceError], message: str
) -> None:
    error = explained("x.json", RuntimeError(HTTP + text), is_anonymous=False)

    assert isinstance(error, kind)
    assert message in error.message
    assert error.message.startswith("x.json: ")
    assert error.hint
    assert "SECRET" not in error.message + error.hint


needs_obstore = pytest.mark.skipif(
    importlib.util.find_spec("obstore") is None, reason="obstore is not installed"
)


@needs_obstore
def test_an_azure_container_needs_its_account(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError) as caught:
        opened("az://container/x")

    assert "AZURE_STORAGE_ACCOUNT_NAME" in caught.value.hint


@needs_obstore
def test_settings_that_can_not_be_used_are_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", "/no/such/secret-file.json")
    with pytest.raises(UsageError, match="can't be opened as it is set up") as caught:
        opened("gs://b1/x")

    assert caught.value.hint.endswith("that begin with GOOGLE_")
    assert "secret-file" not in caught.value.message + caught.value.hint


@needs_obstore
def test_nobody_at_the_endpoint_is_told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    begun = time.monotonic()
    with pytest.raises(SourceUnreachable, match=r"^s3://b1/x: no connection$"):
        opened("s3://b1/x", anonymous=True)

    assert time.monotonic() - begun < 20


@needs_obstore
def test_without_credentials_the_way_out_is_to_set_them_or_to_go_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(SourceRefused, match=r"^s3://b1/x: no credentials are found$") as caught:
        opened("s3://b1/x")

    assert "--anonymous" in caught.value.hint


@needs_obstore
@pytest.mark.slow
def test_an_endpoint_that_never_answers_is_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ckptscan.sources.cloud.bucket.ONE_REQUEST", 1.0)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        begun = time.monotonic()
        with pytest.raises(SourceUnreachable, match="no answer in time"):
            opened("s3://b1/x", anonymous=True)

    assert time.monotonic() - begun < 10
