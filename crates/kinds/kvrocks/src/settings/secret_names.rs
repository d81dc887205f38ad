//! Directives that can hold a secret, known or not: what stands in a file under such a name does not leave its host.

/// What a secret's name contains; a known secret in such a place is still recognised.
const ANYWHERE: &str = "pass|pwd|secret|token|credential";
/// What it ends with.
const AT_THE_END: &str = "auths?|users?|[^x]-keys|key|authentication|authorization";

/// Masks for the files of engines and sentinels. Quotes stay outside, so that a known secret within them is recognised.
pub(crate) fn masks() -> Vec<String> {
    // `tls-auth-clients`, `lazyfree-lazy-user-del`, `tls-key-file`, `notify-keyspace-events` and `tracking-table-max-keys`
    // hold none, and are compared with the inventory.
    let name = format!(r"\S*(?:{ANYWHERE})\S*|\S+(?:{AT_THE_END})|auth|key|namespace\.\S+");
    let value = r#"["']?(.*?)["']?\s*$"#;
    vec![
        format!(r"(?i)^\s*(?:{name})\s+{value}"),
        // A line that somebody took out of force, without the comments of a packaged file.
        format!(r#"(?i)^\s*#\s*(?:{name})\s+["']?([^\s"'<]+)["']?\s*$"#),
        // A user without passwords shows its line, for `nopass` on the default user matters.
        r"(?i)^\s*user\s+\S+\s+(.*[#><!].*?)\s*$".to_owned(),
        // `sentinel auth-pass MASTER PASSWORD`; the others have no master's name.
        format!(r"(?i)^\s*sentinel\s+auth-\S+\s+\S+\s+{value}"),
        format!(r"(?i)^\s*sentinel\s+(?:[^a\s]\S*auth|(?:[^a\s]\S*)?(?:{ANYWHERE}|user|key))\S*\s+{value}"),
    ]
}

/// The names of directives that can hold a secret, for `sed -E`.
pub(crate) fn secret_names() -> String {
    format!(r"[^ ]*({ANYWHERE})[^ ]*|[^ ]+({AT_THE_END})|auth|key|user")
}

/// Whether a directive can hold a secret. An inventory does not name such a one: it has no secrets in clear.
pub(super) fn can_hold_secret(key: &str) -> bool {
    let ends = ["auth", "auths", "user", "users", "key", "-keys"];
    let is_plain = key == "user" || key.ends_with("max-keys");
    let contains = ANYWHERE.split('|').any(|word| key.contains(word));
    contains || (!is_plain && ends.iter().any(|end| key.ends_with(end)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_lite::Regex;

    /// What the masks hide of a line.
    fn hidden(line: &str) -> Option<String> {
        let masks = masks();
        let regexes = masks.iter().map(|mask| Regex::new(mask).unwrap());
        let mut found = regexes.filter_map(|regex| Some(regex.captures(line)?.get(1)?.as_str().to_owned()));
        found.rfind(|found| !found.is_empty())
    }

    #[test]
    fn every_directive_that_can_hold_a_secret_is_hidden_known_or_not() {
        for (line, secret) in [
            ("requirepass geheim", "geheim"),
            ("masterauth \"ge heim\"", "ge heim"),
            // The name that CONFIG REWRITE of Valkey writes: it was shown in clear (ran, 8.1.1).
            ("primaryauth \"geheim\"", "geheim"),
            ("primaryuser repl", "repl"),
            ("masteruser repl", "repl"),
            ("  PrimaryAuth geheim", "geheim"),
            ("tls-key-file-pass geheim", "geheim"),
            ("tls-client-key-file-pass geheim", "geheim"),
            ("cloud-storage-secret-key geheim", "geheim"),
            ("some-new-auth geheim", "geheim"),
            ("some-new-password geheim", "geheim"),
            ("some-new-user geheim", "geheim"),
            ("some-new-key geheim", "geheim"),
            ("api-keys geheim", "geheim"),
            ("azure.access_token geheim", "geheim"),
            ("namespace.ns1 TOKEN1", "TOKEN1"),
            ("# requirepass geheim", "geheim"),
            ("#masterauth geheim", "geheim"),
            ("user replica on #5f11fb ~* +@all", "on #5f11fb ~* +@all"),
            ("user default on >geheim ~* +@all", "on >geheim ~* +@all"),
            ("sentinel auth-pass altcraft geheim", "geheim"),
            ("sentinel auth-user altcraft repl", "repl"),
            ("sentinel sentinel-pass geheim", "geheim"),
            ("sentinel sentinel-user repl", "repl"),
            ("sentinel some-new-key geheim", "geheim"),
        ] {
            assert_eq!(hidden(line).as_deref(), Some(secret), "{line}");
        }
    }

    #[test]
    fn what_is_no_secret_is_shown_and_compared() {
        for line in [
            "port 6666",
            "tls-auth-clients no",
            "tls-key-file /etc/redis/redis.key",
            "lazyfree-lazy-user-del yes",
            "lazyfree-lazy-user-flush yes",
            "hide-user-data-from-log yes",
            "notify-keyspace-events KEA",
            "tracking-table-max-keys 1000000",
            "rdb-key-save-delay 0",
            "user default on nopass ~* &* +@all",
            "# masterauth <master-password>",
            "# user NAME follows, and more words",
            "sentinel monitor altcraft 10.0.0.1 6666 2",
            "sentinel announce-ip 10.0.0.1",
            "sentinel deny-scripts-reconfig yes",
        ] {
            assert_eq!(hidden(line), None, "{line}");
        }
    }

    #[test]
    fn the_inventory_names_none_that_a_mask_hides() {
        for key in [
            "masteruser",
            "primaryuser",
            "primaryauth",
            "tls-key-file-pass",
            "tls-auth-clients",
            "tls-key-file",
            "notify-keyspace-events",
            "tracking-table-max-keys",
            "lazyfree-lazy-user-del",
            "api-keys",
            "max-io-mb",
        ] {
            let is_hidden = hidden(&format!("{key} VALUE")).is_some();
            assert_eq!(can_hold_secret(key), is_hidden, "{key}");
        }
    }
}
