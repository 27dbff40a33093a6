//! A relying party in Rust: rustls-webpki, as rustls uses it. It is given lists and fetches none.
//!
//! `relying-party <roots.pem> <lists.pem> <chain.pem>...`
//!
//! One line for each chain: `<file>: good`, or what is wrong.

use std::time::{SystemTime, UNIX_EPOCH};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use webpki::{
    anchor_from_trusted_cert, BorrowedCertRevocationList, CertRevocationList, EndEntityCert,
    ExpirationPolicy, KeyUsage, RevocationCheckDepth, RevocationOptionsBuilder,
    UnknownStatusPolicy, ALL_VERIFICATION_ALGS,
};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let roots = certificates(&args[1]);
    let lists: Vec<CertificateRevocationListDer> =
        CertificateRevocationListDer::pem_file_iter(&args[2])
            .expect("the lists can be read")
            .map(|list| list.expect("a list is PEM"))
            .collect();
    for file in &args[3..] {
        match judge(&roots, &lists, &certificates(file)) {
            Ok(()) => println!("{file}: good"),
            Err(why) => println!("{file}: {why:?}"),
        }
    }
}

fn judge(
    roots: &[CertificateDer],
    lists: &[CertificateRevocationListDer],
    sent: &[CertificateDer],
) -> Result<(), webpki::Error> {
    let anchors = roots
        .iter()
        .map(anchor_from_trusted_cert)
        .collect::<Result<Vec<_>, _>>()?;
    let lists = lists
        .iter()
        .map(|list| BorrowedCertRevocationList::from_der(list).map(CertRevocationList::from))
        .collect::<Result<Vec<_>, _>>()?;
    let lists: Vec<&CertRevocationList> = lists.iter().collect();
    let revocation = RevocationOptionsBuilder::new(&lists)
        .expect("there is a list")
        .with_depth(RevocationCheckDepth::Chain)
        .with_status_policy(UnknownStatusPolicy::Deny)
        .with_expiration_policy(ExpirationPolicy::Enforce)
        .build();
    let now = UnixTime::since_unix_epoch(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("it is after 1970"),
    );
    let leaf = EndEntityCert::try_from(&sent[0])?;
    leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        &sent[1..],
        now,
        KeyUsage::client_auth(),
        Some(revocation),
        None,
    )?;
    Ok(())
}

fn certificates(file: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(file)
        .expect("the certificates can be read")
        .map(|certificate| certificate.expect("a certificate is PEM"))
        .collect()
}
