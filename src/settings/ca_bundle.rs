//! `AWS_CA_BUNDLE`: the certificates of a company's inspecting proxy or of a custom endpoint.
//!
//! They are validated here because the HTTP client panics on a certificate that it cannot parse.

use std::path::Path;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::CertificateDer;
use rustls::RootCertStore;

use crate::common::bounded_file;
use crate::common::byte_size::ByteSize;
use crate::common::printable::sanitize;

/// Far more than the 250 kB of all the certificates that an operating system trusts.
pub(super) const MAX_BUNDLE: ByteSize = ByteSize(10_000_000);

/// Reads a bundle of PEM certificates and keeps those that can be trusted. On failure, what is wrong with the variable.
pub(crate) fn read(path: &str) -> Result<String, String> {
    let pem = bounded_file::read(Path::new(path), MAX_BUNDLE)
        .map_err(|error| format!("is `{}`, which {error}", sanitize(path)))?;
    let bundle = usable(&pem);
    if bundle.is_empty() {
        let path = sanitize(path);
        return Err(format!(
            "is `{path}`, which contains no certificate in PEM format"
        ));
    }
    Ok(bundle)
}

/// The certificates that can be trusted, in PEM format.
pub(super) fn usable(pem: &[u8]) -> String {
    let mut bundle = String::new();
    for certificate in CertificateDer::pem_slice_iter(pem).flatten() {
        if RootCertStore::empty().add(certificate.clone()).is_ok() {
            push_pem(&mut bundle, &certificate);
        }
    }
    bundle
}

/// Appends a certificate in PEM format.
pub(crate) fn push_pem(pem: &mut String, certificate: &CertificateDer<'_>) {
    pem.push_str("-----BEGIN CERTIFICATE-----\n");
    STANDARD.encode_string(certificate, pem);
    pem.push_str("\n-----END CERTIFICATE-----\n");
}
