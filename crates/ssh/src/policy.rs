//! The permitted properties of a connection: algorithms, the least size of RSA keys, and how long a session key is used. These
//! are OpenSSH's settings of the same names where they are set, and the defaults below where they are not.

use std::time::Duration;

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Limits, cipher, kex, mac};

/// The cheapest exchanges that are safe go first: the hybrid one keeps what is recorded today from a quantum computer
/// of tomorrow, and costs a fraction of a millisecond over plain curve25519. The NIST curves are for hosts in FIPS mode.
const KEY_EXCHANGES: [kex::Name; 7] = [
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::DH_GEX_SHA256,
    kex::DH_G14_SHA256,
];

/// Names in the list of key exchanges that are none; the second keeps packets from being cut out (Terrapin).
const EXTENSIONS: [kex::Name; 2] = [
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// AES-GCM is done by the processor.
const CIPHERS: [cipher::Name; 5] = [
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// Those that protect their packets themselves, without a MAC.
const AUTHENTICATED: [cipher::Name; 3] = [
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
];

const MACS: [mac::Name; 4] = [
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512,
    mac::HMAC_SHA256,
];

/// The least size of an RSA key, in bits: OpenSSH's default for `RequiredRSASize`.
const RSA_BITS: u32 = 1024;

/// russh's own bound, above which it would use a session key for too long.
const MOST_BYTES_A_KEY: usize = 1 << 30;

/// The permitted properties of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    key_exchanges: Vec<kex::Name>,
    ciphers: Vec<cipher::Name>,
    macs: Vec<mac::Name>,
    /// What a host may prove itself with: a key of its own, or a certificate of such a key.
    pub(crate) host_keys: Vec<Algorithm>,
    /// As above, for certificates.
    pub(crate) host_certificates: Vec<Algorithm>,
    /// What the operator may log in with, by name; all but SHA-1 and DSA where it is not set.
    user_keys: Option<Vec<String>>,
    /// What an authority may sign a host's certificate with, by name; as above.
    authorities: Option<Vec<String>>,
    /// The least size of an RSA key, in bits.
    pub(crate) rsa_bits: u32,
    /// After how many bytes and how much time new session keys are made, if not after russh's own.
    rekey: (Option<usize>, Option<Duration>),
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            key_exchanges: KEY_EXCHANGES.to_vec(),
            ciphers: CIPHERS.to_vec(),
            macs: MACS.to_vec(),
            host_keys: safe_algorithms().to_vec(),
            host_certificates: safe_algorithms().to_vec(),
            user_keys: None,
            authorities: None,
            rsa_bits: RSA_BITS,
            rekey: (None, None),
        }
    }
}

/// Why a setting cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PolicyError {
    /// The value is not of the setting's form.
    Malformed,
    /// Nothing that it permits is supported; this is.
    NoneKnown(Vec<String>),
}

impl Policy {
    /// Follows one of OpenSSH's settings, by its name in small letters; whether it is one of those that stand here.
    pub(crate) fn set(&mut self, setting: &str, value: &str) -> Result<bool, PolicyError> {
        match setting {
            "kexalgorithms" => {
                let all = kex::ALL_KEX_ALGORITHMS.iter().map(|name| **name);
                self.key_exchanges = chosen(value, all.filter(|name| *name != kex::NONE))?;
            }
            "ciphers" => {
                let all = cipher::ALL_CIPHERS.iter().map(|name| **name);
                let all = all.filter(|name| ![cipher::NONE, cipher::CLEAR].contains(name));
                self.ciphers = chosen(value, all)?;
            }
            "macs" => {
                let all = mac::ALL_MAC_ALGORITHMS.iter().map(|name| **name);
                self.macs = match chosen(value, all.filter(|name| *name != mac::NONE)) {
                    // A cipher that needs none may do.
                    Err(PolicyError::NoneKnown(_)) => Vec::new(),
                    chosen => chosen?,
                };
            }
            "hostkeyalgorithms" => {
                let names = list(value)?;
                let plain = |name: &&str| Algorithm::new(name).ok().filter(is_known);
                let certificate = |name: &&str| Algorithm::new_certificate(name).ok().filter(is_known);
                self.host_keys = names.iter().filter_map(plain).collect();
                self.host_certificates = names.iter().filter_map(certificate).collect();
                if self.host_keys.is_empty() && self.host_certificates.is_empty() {
                    let known = safe_algorithms().map(|algorithm| algorithm.to_string());
                    return Err(PolicyError::NoneKnown(known.to_vec()));
                }
            }
            "pubkeyacceptedalgorithms" | "pubkeyacceptedkeytypes" => self.user_keys = Some(owned(value)?),
            "casignaturealgorithms" => self.authorities = Some(owned(value)?),
            "requiredrsasize" | "rsaminsize" => {
                self.rsa_bits = value.parse().map_err(|_| PolicyError::Malformed)?;
            }
            "rekeylimit" => {
                let (bytes, seconds) = value.split_once(' ').ok_or(PolicyError::Malformed)?;
                let number = |text: &str| text.trim().parse().map_err(|_| PolicyError::Malformed);
                let (bytes, seconds): (u64, u64) = (number(bytes)?, number(seconds)?);
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                self.rekey = (
                    (bytes > 0).then(|| bytes.min(MOST_BYTES_A_KEY)),
                    (seconds > 0).then(|| Duration::from_secs(seconds)),
                );
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What the settings of one host permit only together: ciphers that need a MAC, and no MAC.
    pub(crate) fn finish(&mut self) -> Result<(), PolicyError> {
        if self.macs.is_empty() {
            self.ciphers.retain(|cipher| AUTHENTICATED.contains(cipher));
        }
        if self.ciphers.is_empty() {
            let known = MACS.iter().map(|name| name.as_ref().to_owned());
            return Err(PolicyError::NoneKnown(known.collect()));
        }
        Ok(())
    }

    /// The key exchanges to announce.
    pub(crate) fn key_exchanges(&self) -> Vec<kex::Name> {
        [&self.key_exchanges[..], &EXTENSIONS].concat()
    }

    /// The ciphers to announce.
    pub(crate) fn ciphers(&self) -> Vec<cipher::Name> {
        self.ciphers.clone()
    }

    /// The MACs to announce.
    pub(crate) fn macs(&self) -> Vec<mac::Name> {
        self.macs.clone()
    }

    /// When new session keys are made.
    pub(crate) fn limits(&self) -> Limits {
        let (bytes, time) = self.rekey;
        let default = Limits::default();
        Limits {
            rekey_write_limit: bytes.unwrap_or(default.rekey_write_limit),
            rekey_read_limit: bytes.unwrap_or(default.rekey_read_limit),
            rekey_time_limit: time.unwrap_or(default.rekey_time_limit),
        }
    }

    /// Whether the operator may log in with an algorithm, by its name.
    pub(crate) fn permits_user_key(&self, name: &str) -> bool {
        permits(self.user_keys.as_deref(), name)
    }

    /// Whether an authority may sign a host's certificate with an algorithm.
    pub(crate) fn permits_authority(&self, algorithm: &Algorithm) -> bool {
        permits(self.authorities.as_deref(), algorithm.as_str())
    }

    /// Whether a key is of a size that is permitted, which is a question for RSA alone.
    pub(crate) fn permits_size(&self, key: &KeyData) -> bool {
        rsa_bits(key).is_none_or(|bits| bits >= self.rsa_bits)
    }
}

fn permits(names: Option<&[String]>, name: &str) -> bool {
    match names {
        Some(names) => names.iter().any(|permitted| permitted == name),
        None => !name.starts_with("ssh-rsa") && !name.starts_with("ssh-dss"),
    }
}

/// The size of an RSA key, in bits.
pub(crate) fn rsa_bits(key: &KeyData) -> Option<u32> {
    let modulus = key.rsa()?.n().as_positive_bytes().unwrap_or_default();
    let zeros = modulus.first().map_or(0, |first| first.leading_zeros());
    let bits = u32::try_from(modulus.len()).ok()?.checked_mul(8)?;
    Some(bits.saturating_sub(zeros))
}

/// The names of a list, which `ssh -G` prints in full, without `+`, `-` and `^`.
fn list(value: &str) -> Result<Vec<&str>, PolicyError> {
    let names: Vec<&str> = value.split(',').map(str::trim).collect();
    let is_name =
        |name: &&str| !name.is_empty() && !name.starts_with(['+', '-', '^']) && !name.contains(['*', '?']);
    if names.iter().all(is_name) {
        Ok(names)
    } else {
        Err(PolicyError::Malformed)
    }
}

fn owned(value: &str) -> Result<Vec<String>, PolicyError> {
    Ok(list(value)?.into_iter().map(str::to_owned).collect())
}

/// Those of the list that are supported, in its order.
fn chosen<T: AsRef<str> + Copy>(value: &str, all: impl Iterator<Item = T>) -> Result<Vec<T>, PolicyError> {
    let all: Vec<T> = all.collect();
    let find = |name: &str| all.iter().find(|known| known.as_ref() == name).copied();
    let chosen: Vec<T> = list(value)?.into_iter().filter_map(find).collect();
    if chosen.is_empty() {
        let known = all.iter().map(|name| name.as_ref().to_owned());
        return Err(PolicyError::NoneKnown(known.collect()));
    }
    Ok(chosen)
}

/// Whether a host's key of this algorithm can be checked here.
fn is_known(algorithm: &Algorithm) -> bool {
    matches!(
        algorithm,
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. }
    )
}

fn safe_algorithms() -> [Algorithm; 6] {
    let ecdsa = |curve| Algorithm::Ecdsa { curve };
    let rsa = |hash| Algorithm::Rsa { hash: Some(hash) };
    [
        Algorithm::Ed25519,
        ecdsa(EcdsaCurve::NistP256),
        ecdsa(EcdsaCurve::NistP384),
        ecdsa(EcdsaCurve::NistP521),
        rsa(HashAlg::Sha512),
        rsa(HashAlg::Sha256),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(setting: &str, value: &str) -> Result<Policy, PolicyError> {
        let mut policy = Policy::default();
        assert!(policy.set(setting, value)?, "{setting}");
        policy.finish().map(|()| policy)
    }

    #[test]
    fn what_is_permitted_and_known_is_announced_in_the_operator_s_order() {
        let policy = set("ciphers", "aes128-gcm@openssh.com,unheard-of,aes256-ctr").unwrap();
        assert_eq!(policy.ciphers(), [cipher::AES_128_GCM, cipher::AES_256_CTR]);
        let policy = set("kexalgorithms", "sntrup761x25519-sha512,curve25519-sha256").unwrap();
        assert_eq!(
            policy.key_exchanges(),
            [&[kex::CURVE25519][..], &EXTENSIONS].concat()
        );
        let policy = set("macs", "umac-128-etm@openssh.com,hmac-sha2-256").unwrap();
        assert_eq!(policy.macs(), [mac::HMAC_SHA256]);
        let policy = set(
            "hostkeyalgorithms",
            "rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256",
        )
        .unwrap();
        let rsa = |hash| Algorithm::Rsa { hash: Some(hash) };
        assert_eq!(policy.host_keys, [rsa(HashAlg::Sha256)]);
        assert_eq!(policy.host_certificates, [rsa(HashAlg::Sha512)]);
    }

    #[test]
    fn nothing_in_common_is_an_error_and_no_cipher_goes_without_a_mac() {
        for (setting, value) in [
            ("ciphers", "none,clear"),
            ("ciphers", "unheard-of"),
            ("kexalgorithms", "none,ext-info-c"),
            ("hostkeyalgorithms", "ssh-dss,sk-ssh-ed25519@openssh.com"),
        ] {
            let error = set(setting, value).unwrap_err();
            assert!(
                matches!(error, PolicyError::NoneKnown(_)),
                "{setting} {value}: {error:?}"
            );
        }
        let policy = set("macs", "umac-128-etm@openssh.com").unwrap();
        assert_eq!(policy.macs(), []);
        assert_eq!(policy.ciphers(), [cipher::AES_256_GCM, cipher::CHACHA20_POLY1305]);
        let mut policy = set("ciphers", "aes256-ctr").unwrap();
        policy.set("macs", "umac-128-etm@openssh.com").unwrap();
        assert!(matches!(policy.finish(), Err(PolicyError::NoneKnown(_))));
    }

    #[test]
    fn sha1_is_for_those_who_ask_for_it() {
        let policy = Policy::default();
        assert!(
            policy.permits_user_key("rsa-sha2-256") && policy.permits_user_key("sk-ssh-ed25519@openssh.com")
        );
        assert!(
            !policy.permits_user_key("ssh-rsa") && !policy.permits_user_key("ssh-rsa-cert-v01@openssh.com")
        );
        assert!(!policy.permits_authority(&Algorithm::Rsa { hash: None }));
        let policy = set("pubkeyacceptedalgorithms", "ssh-rsa").unwrap();
        assert!(policy.permits_user_key("ssh-rsa") && !policy.permits_user_key("ssh-ed25519"));
    }

    #[test]
    fn limits_are_those_of_the_setting_within_russh_s() {
        let limits = set("rekeylimit", "1000000 60").unwrap().limits();
        assert_eq!(
            (limits.rekey_read_limit, limits.rekey_write_limit),
            (1_000_000, 1_000_000)
        );
        assert_eq!(limits.rekey_time_limit, Duration::from_mins(1));
        let limits = set("rekeylimit", "18446744073709551615 0").unwrap().limits();
        assert_eq!(limits.rekey_read_limit, MOST_BYTES_A_KEY);
        assert_eq!(limits.rekey_time_limit, Limits::default().rekey_time_limit);
        for (setting, value) in [
            ("rekeylimit", "1"),
            ("rekeylimit", "x 1"),
            ("requiredrsasize", "many"),
            ("ciphers", "+aes256-ctr"),
            ("ciphers", "aes*"),
            ("ciphers", ""),
        ] {
            assert_eq!(
                set(setting, value).unwrap_err(),
                PolicyError::Malformed,
                "{setting} {value}"
            );
        }
    }
}
