//! What each of OpenSSH's settings means here. A setting that protects the connection must not be ignored in silence, so
//! each is either followed, or an error, or known to make no difference to what this crate does. One that is in none of
//! the lists is an error too: it is newer than this program.
//!
//! Only what differs from OpenSSH's own default counts, since `ssh -G` prints all of them.

/// What a setting means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Followed.
    Followed,
    /// Without effect here, or only stricter.
    Nothing,
    /// Not supported, and ignoring it would be wrong; with what to do instead.
    Refused(&'static str),
    /// Not known.
    Unknown,
}

/// Those that `parse` reads.
const FOLLOWED: &[&str] = &[
    "addressfamily",
    "bindaddress",
    "casignaturealgorithms",
    "certificatefile",
    "ciphers",
    "connecttimeout",
    "globalknownhostsfile",
    "hashknownhosts",
    "hostkeyalgorithms",
    "hostkeyalias",
    "hostname",
    "identitiesonly",
    "identityagent",
    "identityfile",
    "kexalgorithms",
    "macs",
    "port",
    "preferredauthentications",
    "proxyjump",
    "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes",
    "pubkeyauthentication",
    "rekeylimit",
    "requiredrsasize",
    "revokedhostkeys",
    "rsaminsize",
    "user",
    "userknownhostsfile",
    "host",
];

/// Those without a counterpart here, and what to do instead. A value that switches the setting off is not refused.
const REFUSED: &[(&str, &str)] = &[
    (
        "proxycommand",
        "use ProxyJump, or name the jump hosts in the inventory",
    ),
    (
        "knownhostscommand",
        "write the keys to a file and name it with UserKnownHostsFile",
    ),
    ("bindinterface", "name the interface's address with BindAddress"),
    (
        "checkhostip",
        "set `CheckHostIP no` for this host: its key is checked by name and may be recorded under its address too",
    ),
    (
        "pkcs11provider",
        "load the token's keys into the SSH agent with `ssh-add -s`, and set `PKCS11Provider none` for this host",
    ),
    (
        "refuseconnection",
        "OpenSSH's configuration forbids connections to this host: change it there",
    ),
];

/// Those that make no difference: what they are about does not happen here (questions, passwords, terminals, forwarding,
/// sharing of connections), is done in another way (keepalives, retries), or is stricter here (the checks of host keys).
const NOTHING: &[&str] = &[
    "addkeystoagent",
    "batchmode",
    "canonicaldomains",
    "canonicalizefallbacklocal",
    "canonicalizehostname",
    "canonicalizemaxdots",
    "canonicalizepermittedcnames",
    "challengeresponseauthentication",
    "channeltimeout",
    "clearallforwardings",
    "compression",
    "compressionlevel",
    "connectionattempts",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dynamicforward",
    "enableescapecommandline",
    "enablesshkeysign",
    "escapechar",
    "exitonforwardfailure",
    "fingerprinthash",
    "forkafterauthentication",
    "forwardagent",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gatewayports",
    "hostbasedacceptedalgorithms",
    "hostbasedauthentication",
    "hostbasedkeytypes",
    "ignoreunknown",
    "ipqos",
    "kbdinteractiveauthentication",
    "kbdinteractivedevices",
    "localcommand",
    "localforward",
    "loglevel",
    "logverbose",
    "nohostauthenticationforlocalhost",
    "numberofpasswordprompts",
    "obscurekeystroketiming",
    "passwordauthentication",
    "permitlocalcommand",
    "permitremoteopen",
    "proxyusefdpass",
    "remotecommand",
    "remoteforward",
    "requesttty",
    "securitykeyprovider",
    "sendenv",
    "serveralivecountmax",
    "serveraliveinterval",
    "sessiontype",
    "setenv",
    "stdinnull",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "stricthostkeychecking",
    "syslogfacility",
    "tag",
    "tcpkeepalive",
    "tunnel",
    "tunneldevice",
    "updatehostkeys",
    "useprivilegedport",
    "verifyhostkeydns",
    "versionaddendum",
    "visualhostkey",
    "warnweakcrypto",
    "xauthlocation",
];

/// What a setting means, by its name in small letters and its value.
pub(super) fn meaning(setting: &str, value: &str) -> Meaning {
    if FOLLOWED.contains(&setting) {
        return Meaning::Followed;
    }
    if NOTHING.contains(&setting) || setting.starts_with("gssapi") {
        return Meaning::Nothing;
    }
    match REFUSED.iter().find(|(name, _)| *name == setting) {
        Some(_) if ["", "no", "none", "false"].contains(&value) => Meaning::Nothing,
        Some((_, instead)) => Meaning::Refused(instead),
        None => Meaning::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_in_one_list_and_the_documentation_names_it() {
        let refused = REFUSED.iter().map(|(name, _)| name);
        let mut all: Vec<&str> = FOLLOWED.iter().chain(NOTHING).chain(refused).copied().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        let page = include_str!("../../../../docs/how-to/ssh.md").to_lowercase();
        for (name, _) in REFUSED {
            assert!(page.contains(name), "{name}");
        }
        for name in FOLLOWED.iter().filter(|name| !OLD_NAMES.contains(name)) {
            assert!(page.contains(name), "{name}");
        }
    }

    /// What older versions print, and the name that the questions are asked by.
    const OLD_NAMES: [&str; 3] = ["host", "pubkeyacceptedkeytypes", "rsaminsize"];

    #[test]
    fn what_is_switched_off_is_not_refused() {
        assert_eq!(meaning("checkhostip", "no"), Meaning::Nothing);
        assert!(matches!(meaning("checkhostip", "yes"), Meaning::Refused(_)));
        assert_eq!(meaning("pkcs11provider", "none"), Meaning::Nothing);
        assert_eq!(meaning("gssapiauthentication", "yes"), Meaning::Nothing);
        assert_eq!(meaning("hostkeyproof", "none"), Meaning::Unknown);
    }
}
