"""The webhook's certificate is one that a TLS client accepts, for the Service's names and no others."""

import ssl

import pytest

from ci.stack import certificates

SERVICE, NAMESPACE = "webhook-server", "kserve"


def handshake(certificate, host, tmp_path):
    """Complete a TLS handshake in memory, the client trusting only the authority."""
    chain, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    chain.write_bytes(certificate.certificate)
    key.write_bytes(certificate.key)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(chain, key)
    client_context = ssl.create_default_context(cadata=certificate.authority.decode())
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=host)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    done = set()
    for _ in range(10):
        for side in {client, server} - done:
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
        if len(done) == 2:
            return client.getpeercert()
    raise AssertionError("the handshake did not end")


@pytest.mark.parametrize("host", ["webhook-server.kserve.svc", "webhook-server.kserve.svc.cluster.local"])
def test_is_valid_for_the_service(host, tmp_path):
    peer = handshake(certificates.issue(SERVICE, NAMESPACE), host, tmp_path)
    assert ("DNS", host) in peer["subjectAltName"]


def test_is_not_valid_for_another_service(tmp_path):
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        handshake(certificates.issue(SERVICE, NAMESPACE), "webhook-server.default.svc", tmp_path)


def test_is_not_trusted_by_another_authority(tmp_path):
    one, other = certificates.issue(SERVICE, NAMESPACE), certificates.issue(SERVICE, NAMESPACE)
    mixed = certificates.ServingCertificate(other.authority, one.certificate, one.key)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(mixed, "webhook-server.kserve.svc", tmp_path)


def test_a_new_one_does_not_expire_soon(monkeypatch):
    certificate = certificates.issue(SERVICE, NAMESPACE).certificate
    assert not certificates.expires_soon(certificate)
    monkeypatch.setattr(certificates, "RENEW_BEFORE", certificates.LIFETIME)
    assert certificates.expires_soon(certificate)
