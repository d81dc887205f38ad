//! One line of a `known_hosts` file, and which hosts it is about.

use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns};
use sha1::Sha1;

/// A line that records a key.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) entry: Entry,
}

/// Reads a file's lines. What is malformed is skipped with a warning: OpenSSH does the same, and a line of another host
/// must not keep this one from being checked.
pub(super) fn parse(text: &str, file: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The library splits at single spaces and takes a `#` within a line for a comment: give it three or four
        // fields, without the key's comment.
        let fields = if line.starts_with('@') { 4 } else { 3 };
        let bare: Vec<&str> = line.split_whitespace().take(fields).collect();
        match bare.join(" ").parse::<Entry>() {
            Ok(entry) => lines.push(Line {
                number: index + 1,
                entry,
            }),
            Err(error) => {
                tracing::warn!(file = %file.display(), line = index + 1, %error, "skipped a malformed host key");
            }
        }
    }
    lines
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
fn matches(pattern: &str, name: &str) -> bool {
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
}
