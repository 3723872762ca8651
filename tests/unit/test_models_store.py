"""The upload to the model store, against a real HTTP server that checks what a signed S3 request must have."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ci.base.errors import CheckFailedError
from ci.cluster import model_store

KEYS = {"AWS_ACCESS_KEY_ID": "the-key", "AWS_SECRET_ACCESS_KEY": "the-secret"}


class Store(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        signed = self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 Credential=the-key/")
        whole = self.headers.get("x-amz-content-sha256") == hashlib.sha256(body).hexdigest()
        bucket = self.path.count("/") == 1
        status = 403 if not (signed and whole) else self.server.bucket if bucket else self.server.object
        if status == 200:
            self.server.held[self.path] = body
        self.send_response(status)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"<Code>")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def store():
    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        server.daemon_threads = True
        server.held, server.bucket, server.object = {}, 200, 200
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def models(tmp_path):
    for version in ("v1", "v2"):
        file = tmp_path / "sklearn-iris" / version / "model.joblib"
        file.parent.mkdir(parents=True)
        file.write_bytes(version.encode() * 1000)
    return tmp_path


def test_every_file_is_stored_where_its_storage_uri_leads(store, models):
    model_store.put(store.url, KEYS, models)
    for version in ("v1", "v2"):
        path = model_store.uri("sklearn-iris", version).removeprefix("s3:/")
        assert store.held[f"{path}/model.joblib"] == version.encode() * 1000


def test_a_bucket_that_is_there_already_is_used(store, models):
    store.bucket = 409
    model_store.put(store.url, KEYS, models)
    assert len(store.held) == 2


def test_a_bucket_that_cannot_be_made_is_an_error(store, models):
    store.bucket = 500
    with pytest.raises(CheckFailedError, match="no bucket models: 500"):
        model_store.put(store.url, KEYS, models)


def test_a_model_that_is_refused_is_named_and_no_key_is_told(store, models):
    store.object = 507
    with pytest.raises(CheckFailedError, match=r"sklearn-iris/v1/model\.joblib: 507") as raised:
        model_store.put(store.url, KEYS, models)
    assert "the-secret" not in f"{raised.value}{raised.value.detail}"


def test_a_store_that_does_not_answer_is_an_error_without_a_key(store, models):
    store.shutdown()
    store.server_close()
    with pytest.raises(CheckFailedError, match="does not answer") as raised:
        model_store.put(store.url, KEYS, models)
    assert "the-secret" not in str(raised.value)
