//! The hosts on the way: `[user@]host[:port]`, as in OpenSSH's `ProxyJump`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Text that names no jump host.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a jump host: {rule}")]
pub struct JumpError {
    /// The text.
    pub text: String,
    /// What it breaks.
    pub rule: &'static str,
}

/// A host to go through.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Jump {
    /// The user that logs in there, if not that of its own settings.
    pub user: Option<String>,
    /// Its name or address.
    pub host: String,
    /// The port, if not that of its own settings.
    pub port: Option<u16>,
}

impl Jump {
    /// Reads a list as in `ProxyJump a,b`; `none` and nothing are the empty list.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, JumpError> {
        if text.is_empty() || text.eq_ignore_ascii_case("none") {
            return Ok(Vec::new());
        }
        text.split(',').map(|hop| hop.trim().parse()).collect()
    }
}

impl FromStr for Jump {
    type Err = JumpError;

    fn from_str(text: &str) -> Result<Self, JumpError> {
        let bad = |rule| JumpError {
            text: text.to_owned(),
            rule,
        };
        let rest = text.strip_prefix("ssh://").unwrap_or(text).trim_end_matches('/');
        let (user, place) = match rest.rsplit_once('@') {
            Some(("", _)) => return Err(bad("the user before the `@` is empty")),
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, rest),
        };
        let (host, port) = split_port(place).ok_or_else(|| bad("a `[` has no `]`"))?;
        // What looks like an option must not become one of `ssh -G`.
        if host.is_empty() || host.starts_with('-') || host.contains(|c: char| c.is_whitespace() || c == '/')
        {
            return Err(bad("it is written [user@]host[:port]"));
        }
        let port = match port.map(str::parse) {
            None => None,
            Some(Ok(0) | Err(_)) => return Err(bad("the port is a number from 1 to 65535")),
            Some(Ok(port)) => Some(port),
        };
        Ok(Self {
            user,
            host: host.to_owned(),
            port,
        })
    }
}

/// The host, and what follows its colon. An IPv6 address has more than one colon, and no port without brackets.
fn split_port(place: &str) -> Option<(&str, Option<&str>)> {
    if let Some(bracketed) = place.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        return Some((host, rest.strip_prefix(':')));
    }
    match place.split_once(':') {
        Some((host, port)) if !port.contains(':') => Some((host, Some(port))),
        _ => Some((place, None)),
    }
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_read_and_written_alike() {
        for (text, user, host, port) in [
            ("gate", None, "gate", None),
            ("ops@gate", Some("ops"), "gate", None),
            ("ops@gate:2222", Some("ops"), "gate", Some(2222)),
            ("a@corp@gate:22", Some("a@corp"), "gate", Some(22)),
            ("fe80::1", None, "fe80::1", None),
            ("[fe80::1]:22", None, "fe80::1", Some(22)),
        ] {
            let jump: Jump = text.parse().unwrap();
            assert_eq!(
                (jump.user.as_deref(), jump.host.as_str(), jump.port),
                (user, host, port),
                "{text}"
            );
            assert_eq!(jump.to_string().parse::<Jump>().unwrap(), jump, "{text}");
        }
        assert_eq!(
            "ssh://ops@gate:2222/".parse::<Jump>().unwrap().to_string(),
            "ops@gate:2222"
        );
    }

    #[test]
    fn what_is_no_jump_is_refused() {
        for text in [
            "",
            "@gate",
            "gate:",
            "gate:0",
            "gate:65536",
            "gate:ssh",
            "[fe80::1",
            "-oProxyCommand=x",
            "a b",
        ] {
            assert!(text.parse::<Jump>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_list_goes_from_near_to_far() {
        let jumps = Jump::parse_list("a,ops@b:2").unwrap();
        assert_eq!(
            jumps.iter().map(Jump::to_string).collect::<Vec<_>>(),
            ["a", "ops@b:2"]
        );
        assert_eq!(Jump::parse_list("none").unwrap(), []);
        assert!(Jump::parse_list("a,,b").is_err());
    }
}
