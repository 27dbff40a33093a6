"""A relying party in Python: the verifier of `cryptography` for the path, its OCSP and CRL for revocation.

relying_party.py ocsp|crl <roots.pem> <chain.pem>...

One line for each chain: "<file>: good", or what is wrong.
"""

import datetime
import sys
import urllib.error
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp, verification
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID


class Refused(Exception):
    """Why a chain is not good."""


def judge(how, roots, chain):
    verifier = verification.PolicyBuilder().store(verification.Store(roots)).build_client_verifier()
    try:
        path = verifier.verify(chain[0], chain[1:]).chain
    except verification.VerificationError as error:
        raise Refused(f"path: {error}") from error
    if how == "ocsp":
        ask_ocsp(path[0], path[1])
    else:
        for certificate, issuer in zip(path, path[1:]):
            ask_list(certificate, issuer)


def fetch(url, body=None, headers=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers or {}), timeout=20) as answer:
            return answer.read()
    except (urllib.error.URLError, OSError) as error:
        raise Refused(f"unknown: {error}") from error


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def ask_ocsp(leaf, issuer):
    try:
        access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound as error:
        raise Refused("unknown: it names no responder") from error
    urls = [one.access_location.value for one in access if one.access_method == AuthorityInformationAccessOID.OCSP]
    if not urls:
        raise Refused("unknown: it names no responder")
    request = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA256()).build().public_bytes(Encoding.DER)
    answer = ocsp.load_der_ocsp_response(fetch(urls[0], request, {"content-type": "application/ocsp-request"}))
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise Refused(f"unknown: {answer.response_status.name}")
    responder = answer.certificates[0] if answer.certificates else issuer
    if responder != issuer:
        responder.verify_directly_issued_by(issuer)
        usage = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if ExtendedKeyUsageOID.OCSP_SIGNING not in usage:
            raise Refused("unknown: signed by no responder")
    verify(responder.public_key(), answer.signature, answer.tbs_response_bytes, answer.signature_hash_algorithm)
    if answer.serial_number != leaf.serial_number or not answer.this_update_utc <= now() <= answer.next_update_utc:
        raise Refused("unknown: the answer is about another, or not of now")
    if answer.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        raise Refused(f"revoked: {answer.revocation_reason}")
    if answer.certificate_status is not ocsp.OCSPCertStatus.GOOD:
        raise Refused("unknown: the responder does not know it")


def verify(key, signature, message, algorithm):
    """The keys of this authority are ECDSA or Ed25519."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, message)
    else:
        key.verify(signature, message, ec.ECDSA(algorithm))


def ask_list(certificate, issuer):
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound as error:
        raise Refused("unknown: it names no list") from error
    listed = x509.load_der_x509_crl(fetch(points[0].full_name[0].value))
    if listed.issuer != issuer.subject or not listed.is_signature_valid(issuer.public_key()):
        raise Refused("unknown: the list is not the issuer's")
    if not listed.last_update_utc <= now() <= listed.next_update_utc:
        raise Refused("unknown: the list is not of now")
    entry = listed.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is not None:
        raise Refused(f"revoked: {entry.extensions.get_extension_for_class(x509.CRLReason).value.reason}")


def read(file):
    with open(file, "rb") as pem:
        return x509.load_pem_x509_certificates(pem.read())


def main(how, roots_file, *files):
    roots = read(roots_file)
    for file in files:
        try:
            judge(how, roots, read(file))
            verdict = "good"
        except Refused as refused:
            verdict = str(refused)
        print(f"{file}: {verdict}")


main(*sys.argv[1:])
