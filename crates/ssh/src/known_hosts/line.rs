//! One line of a `known_hosts` file, and which hosts it is about.

use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_encoding::base64::{Base64, Encoding};
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns};
use russh::keys::{HashAlg, PublicKey};
use sha1::Sha1;

/// A line that records a key.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) entry: Entry,
}

/// The longest key that is read, in text: one of 16384 bits takes 3 KiB.
const LONGEST: usize = 64 << 10;

/// Reads a file's lines. What is malformed is skipped with a warning: OpenSSH does the same, and a line of another host
/// must not keep this one from being checked.
pub(super) fn parse(text: &str, file: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match entry(line) {
            Some(entry) => lines.push(Line {
                number: index + 1,
                entry,
            }),
            None => {
                tracing::warn!(file = %file.display(), line = index + 1, "skipped a malformed host key");
            }
        }
    }
    lines
}

fn entry(line: &str) -> Option<Entry> {
    // The library splits at single spaces and takes a `#` within a line for a comment: give it three or four fields,
    // without the key's comment.
    let fields = if line.starts_with('@') { 4 } else { 3 };
    let bare: Vec<&str> = line.split_whitespace().take(fields).collect();
    let [.., kind, key] = bare[..] else { return None };
    (bare.len() == fields && key.len() <= LONGEST && is_plain(kind, key))
        .then(|| bare.join(" ").parse().ok())
        .flatten()
}

/// Whether a key in text is of the kind that it is said to be, and no certificate: the library reads a certificate in a
/// certificate without a bound, until the stack ends.
pub(super) fn is_plain(kind: &str, key: &str) -> bool {
    let Ok(blob) = Base64::decode_vec(key) else {
        return false;
    };
    let name = blob.get(4..).and_then(|rest| rest.get(..kind.len()));
    let length = u32::try_from(kind.len()).map(u32::to_be_bytes);
    name == Some(kind.as_bytes())
        && length.is_ok_and(|length| blob.starts_with(&length))
        && !kind.contains("-cert-v")
}

impl Line {
    /// Whether the line is about the host of this name, in small letters.
    pub(super) fn names(&self, host: &str) -> bool {
        match self.entry.host_patterns() {
            HostPatterns::HashedName { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
                .is_ok_and(|mac| mac.chain_update(host).verify_slice(hash).is_ok()),
            HostPatterns::Patterns(patterns) => {
                let mut is_named = false;
                for pattern in patterns {
                    match pattern.strip_prefix('!') {
                        // A negation speaks for the whole line.
                        Some(pattern) if matches(pattern, host) => return false,
                        Some(_) => {}
                        None => is_named |= matches(pattern, host),
                    }
                }
                is_named
            }
        }
    }
}

/// A host's name as `HashKnownHosts` has it.
pub(super) fn hashed(host: &str) -> String {
    let salt: [u8; 20] = rand::random();
    let mut hash = [0; 20];
    // HMAC takes a key of any length.
    if let Ok(mac) = Hmac::<Sha1>::new_from_slice(&salt) {
        hash.copy_from_slice(&mac.chain_update(host).finalize().into_bytes());
    }
    let salt = salt.to_vec();
    HostPatterns::HashedName { salt, hash }.to_string()
}

/// Whether a pattern with `*` and `?` matches a name, without regard to case.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on after the last star took in one more character.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n + 1));
                p += 1;
            }
            Some(c) if *c == b'?' || c.eq_ignore_ascii_case(&name[n]) => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((after_star, next)) => {
                    p = after_star;
                    n = next;
                    retry = Some((after_star, next + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// A key's fingerprint, as `ssh-keygen -l` prints it.
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// A key without its comment, as a line of `known_hosts` has it.
pub(super) fn bare(key: &PublicKey) -> String {
    PublicKey::new(key.key_data().clone(), "")
        .to_openssh()
        .unwrap_or_default()
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_openssh() {
        for (pattern, name, expected) in [
            ("db1", "db1", true),
            ("DB1", "db1", true),
            ("db1", "db10", false),
            ("db?", "db1", true),
            ("db?", "db", false),
            ("*.example.com", "db1.example.com", true),
            ("*.example.com", "example.com", false),
            ("10.*.0.*", "10.77.0.11", true),
            ("[*]:2222", "[db1]:2222", true),
            ("[*]:2222", "[db1]:22222", false),
            ("*a*b", "xaxaxb", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQtTWVTzd2t27+t0DEHBPW7iOD23TUiYLio";

    /// A certificate whose authority's key is a certificate, and so on: what the library would follow to the end.
    fn nested(levels: usize) -> Vec<u8> {
        let string = |text: &[u8]| [&u32::try_from(text.len()).unwrap().to_be_bytes()[..], text].concat();
        let name = string(b"ssh-ed25519-cert-v01@openssh.com");
        let mut key = [string(b"ssh-ed25519"), string(&[7; 32])].concat();
        for _ in 0..levels {
            let nonce_to_names = [
                string(b""),
                string(&[7; 32]),
                vec![0; 8],
                vec![0, 0, 0, 2],
                vec![0; 8],
            ];
            let times_to_reserved = [vec![0; 16], vec![0; 12]];
            key = [
                name.clone(),
                nonce_to_names.concat(),
                times_to_reserved.concat(),
                string(&key),
            ]
            .concat();
        }
        key
    }

    #[test]
    fn a_certificate_in_a_certificate_does_not_end_the_stack() {
        let blob = Base64::encode_string(&nested(300));
        for kind in ["ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"] {
            assert!(parse(&format!("db1 {kind} {blob}"), Path::new("known_hosts")).is_empty());
            assert!(!is_plain(kind, &blob));
        }
    }

    #[test]
    fn a_key_that_is_too_long_is_skipped_and_a_long_comment_hides_no_line() {
        let long = "A".repeat(LONGEST + 1);
        let text = format!("db1 ssh-ed25519 {KEY}{long}\n@revoked db1 ssh-ed25519 {KEY} {long}\n");
        let lines = parse(&text, Path::new("known_hosts"));
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [2]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_a_panic(
            text in "\\PC{0,200}",
            marker in "(@cert-authority |@revoked |@[a-z]{0,9} ?)?",
            hosts in "(\\|1\\|[A-Za-z0-9+/=|]{0,40}|[ -~]{0,40})",
            kind in "(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp256|ssh-ed25519-cert-v01@openssh.com|[a-z0-9-]{0,20})",
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..120),
            name in "[ -~]{0,20}",
        ) {
            let string = u32::try_from(kind.len()).unwrap().to_be_bytes();
            let blob = Base64::encode_string(&[&string[..], kind.as_bytes(), &bytes].concat());
            for text in [text, format!("{marker}{hosts} {kind} {blob} comment"), format!("{marker}{hosts} {kind} {KEY}")] {
                for line in parse(&text, Path::new("known_hosts")) {
                    line.names(&name);
                }
            }
        }
    }
}
