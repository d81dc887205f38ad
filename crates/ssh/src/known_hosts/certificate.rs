//! Whether a host's certificate proves that it is the host: OpenSSH's rules, and one stricter. A certificate without
//! names is one for every host, so that any host of the authority could pass for any other; it is not accepted.

use russh::keys::Certificate;
use russh::keys::HashAlg;
use russh::keys::ssh_key::certificate::CertType;
use thiserror::Error;

use super::line::matches;
use super::record::{Found, Place, RecordedAs, Role, revocation};
use crate::error::excerpt;
use crate::policy::Policy;

/// Why a certificate proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Fault {
    #[error("no @cert-authority line for the host has the key that signed it, {0}")]
    Authority(String),
    #[error("the key of its authority is revoked in {0}")]
    Revoked(Place),
    #[error("its authority's key is smaller than the RequiredRSASize of {0} bits")]
    Small(u32),
    #[error("it is signed with {0}, which CASignatureAlgorithms does not permit")]
    Algorithm(String),
    #[error("its signature is not that of its authority")]
    Signature,
    #[error("it is a user's certificate")]
    User,
    #[error("it is not valid yet: is this machine's clock right?")]
    TooEarly,
    #[error("it has expired")]
    Expired,
    #[error("it names no host")]
    NoNames,
    #[error("it is for {for_names}, and not for {name}")]
    Name { for_names: String, name: String },
    #[error("it has the critical option {0}, which is not known")]
    Option(String),
}

/// Judges a certificate at a time, in seconds since 1970. That the host has the key of the certificate was proved by the
/// exchange of keys.
pub(super) fn judge(
    certificate: &Certificate,
    found: &[Found],
    host: &RecordedAs,
    policy: &Policy,
    now: u64,
) -> Result<(), Fault> {
    let signer = certificate.signature_key();
    if let Some(record) = revocation(found, signer) {
        return Err(Fault::Revoked(record.place.clone()));
    }
    let is_authority = |record: &Found| record.role == Role::Authority && record.key.key_data() == signer;
    if !found.iter().any(is_authority) {
        return Err(Fault::Authority(signer.fingerprint(HashAlg::Sha256).to_string()));
    }
    if !policy.permits_size(signer) {
        return Err(Fault::Small(policy.rsa_bits));
    }
    let algorithm = certificate.signature().algorithm();
    if !policy.permits_authority(&algorithm) {
        return Err(Fault::Algorithm(algorithm.to_string()));
    }
    if certificate.cert_type() != CertType::Host {
        return Err(Fault::User);
    }
    if now < certificate.valid_after() {
        return Err(Fault::TooEarly);
    }
    if now >= certificate.valid_before() {
        return Err(Fault::Expired);
    }
    if let Some((name, _)) = certificate.critical_options().iter().next() {
        return Err(Fault::Option(excerpt(name)));
    }
    let names = certificate.valid_principals();
    if names.is_empty() {
        return Err(Fault::NoNames);
    }
    if !names.iter().any(|name| matches(name, &host.principal)) {
        return Err(Fault::Name {
            for_names: excerpt(&names.join(", ")),
            name: host.principal.clone(),
        });
    }
    // Last, since it costs the most: the signature, by the key that was found above.
    let trusted = [signer.fingerprint(HashAlg::Sha256)];
    certificate
        .validate_at(now, &trusted)
        .map_err(|_| Fault::Signature)
}
