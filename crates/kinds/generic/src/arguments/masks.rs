//! Masks for values of a file that must not leave its host, although the playbook does not name them: those that stand
//! where secrets are going to be written, and those that look like passwords.

use protocol::{Piece, Text};
use regex_lite::{Regex, escape};

/// Masks for the values that stand in a file where a text has its secrets.
///
/// `None` where some line cannot be told from others by what stands around its secret; then what stands in the
/// file must not be shown.
pub(crate) fn masks_for(text: &Text) -> Option<Vec<String>> {
    let lines: Vec<&str> = text.as_str().lines().collect();
    let mut masks = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let line = Text::new(*line);
        let pieces = line.pieces().ok()?;
        let secrets = pieces
            .iter()
            .enumerate()
            .filter(|(_, piece)| matches!(piece, Piece::Secret(_)));
        for (nth, _) in secrets {
            let around = [around(&pieces[..nth]), around(&pieces[nth + 1..])];
            let mask = format!("^{}(.*){}$", around[0], around[1]);
            let others = lines.iter().enumerate().filter(|(other, _)| *other != at);
            if others.map(|(_, line)| line).any(|line| hides_more(&mask, line)) {
                return None;
            }
            masks.push(mask);
        }
    }
    Some(masks)
}

/// A pattern of what stands before or after a secret on its line.
fn around(pieces: &[Piece<'_>]) -> String {
    let patterns = pieces.iter().map(|piece| match piece {
        Piece::Plain(text) => escape(text),
        _ => ".*?".to_owned(),
    });
    patterns.collect()
}

/// The text in place of a secret while masks are tried: letters that no file has.
const ANY_SECRET: &str = "\u{e000}\u{e000}\u{e000}\u{e000}\u{e000}\u{e000}\u{e000}\u{e000}";

/// Whether a mask hides something of a line that is none of our secrets.
fn hides_more(mask: &str, line: &str) -> bool {
    // An invalid pattern would hide nothing.
    let Ok(regex) = Regex::new(mask) else { return true };
    let line = Text::new(line);
    let pieces = line.pieces().unwrap_or_default();
    let line: String = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Plain(text) => text,
            _ => ANY_SECRET,
        })
        .collect();
    let groups = regex.captures_iter(&line).filter_map(|found| found.get(1));
    groups
        .map(|group| group.as_str().trim_matches('\u{e000}'))
        .any(|more| !more.trim().is_empty())
}

/// Words at the end of a key whose value is a secret.
const WORDS: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "requirepass|masterauth|auth-pass",
    "api[_-]?key",
    "access[_-]?key",
    "private[_-]?key",
    "cookie",
];

/// Secrets by what stands around them: an XML element, and a URL with a password.
const OTHERS: [&str; 2] = [
    r"(?i)<[\w.-]*(?:password|secret|token)[^>]*>([^<]+)<",
    r"://[^\s:/@]*:([^\s@/]+)@",
];

/// Masks for what looks like a password, except for what the playbook itself writes in the open: a masked value could
/// not be compared with it.
pub(crate) fn masks_except(written: &str) -> Vec<String> {
    let clashes = |mask: &str| written.lines().any(|line| hides_more(mask, line));
    let words: Vec<&str> = WORDS.into_iter().filter(|word| !clashes(&keyed(word))).collect();
    let keys = (!words.is_empty()).then(|| keyed(&words.join("|")));
    let others = OTHERS
        .into_iter()
        .filter(|mask| !clashes(mask))
        .map(str::to_owned);
    keys.into_iter().chain(others).collect()
}

/// A mask for the values of keys that end with a word. Shorter values are switches rather than secrets.
fn keyed(words: &str) -> String {
    format!(r#"(?i)(?:^|[\s{{,])["']?[\w.-]*(?:{words})["']?\s*[=:\s]\s*["']?([^\s"';,]{{6,}})"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "⟪secret:file:pw⟫";

    /// The parts of a line that masks hide.
    fn hidden<'a>(masks: &[String], line: &'a str) -> Vec<&'a str> {
        let regexes = masks.iter().map(|mask| Regex::new(mask).unwrap());
        let groups = regexes.flat_map(|regex| {
            let found: Vec<&str> = regex
                .captures_iter(line)
                .filter_map(|found| found.get(1))
                .map(|group| group.as_str())
                .collect();
            found
        });
        groups.collect()
    }

    #[test]
    fn what_stands_in_a_secrets_place_is_hidden_and_nothing_else() {
        let text = Text::new(format!("port 1\npass \"{SECRET}\";\nurl = x://u:{SECRET}@h/\n"));
        let masks = masks_for(&text).unwrap();
        assert_eq!(hidden(&masks, "pass \"old;value\";"), ["old;value"]);
        assert_eq!(hidden(&masks, "url = x://u:old@h/"), ["old"]);
        assert_eq!(hidden(&masks, "port 1"), [""; 0]);
    }

    /// A file with the text, with this value for its secret, as the agent reports it.
    fn reported(text: &Text, value: &str) -> Text {
        let secret = types::Secret::new(value);
        let content = text.reveal(|_| Some(&secret), b"").unwrap();
        let content = String::from_utf8(content).unwrap();
        let mut masks = masks_for(text).unwrap();
        masks.extend(masks_except(text.as_str()));
        let mut ranges = Vec::new();
        for regex in masks.iter().map(|mask| Regex::new(mask).unwrap()) {
            let mut start = 0;
            for line in content.split_inclusive('\n') {
                let groups = regex
                    .captures_iter(line.trim_end())
                    .filter_map(|found| found.get(1));
                ranges.extend(groups.map(|group| start + group.start()..start + group.end()));
                start += line.len();
            }
        }
        let known = [("file:pw".parse().unwrap(), secret)];
        Text::conceal(content.as_bytes(), &known, &ranges).unwrap()
    }

    #[test]
    fn a_file_as_it_should_be_reads_back_as_the_text_that_it_was_written_from() {
        let text = format!(
            "token = open-value\npassword = {SECRET}\nrequirepass {SECRET}\n  \"api_key\": \"{SECRET}\",\n\
             url = amqp://user:{SECRET}@host/x\n<password>{SECRET}</password>\ncookie={SECRET};x\n"
        );
        let text = Text::new(text);
        for value in [
            "abcdefghijklmnopqrstuvwxyz012345",
            "with \"all\", of; it's <own> @x/y:z",
            "  blanks  around  ",
        ] {
            assert_eq!(reported(&text, value), text, "{value}");
        }
    }

    #[test]
    fn a_secret_that_looks_like_its_neighbours_cannot_be_hidden() {
        assert_eq!(masks_for(&Text::new(format!("- alice\n- {SECRET}\n"))), None);
        assert_eq!(masks_for(&Text::new(format!("{SECRET}\n"))).unwrap(), ["^(.*)$"]);
        assert_eq!(masks_for(&Text::new("nothing secret\n")).unwrap(), [""; 0]);
    }

    #[test]
    fn passwords_in_edited_files_are_hidden() {
        let masks = masks_except("port 1");
        for (line, value) in [
            ("requirepass hunter2hunter2", "hunter2hunter2"),
            ("db.password = \"hunter2\"", "hunter2"),
            ("  {\"api_key\": \"hunter2\", \"a\": 1}", "hunter2"),
            ("<admin_password>hunter2</admin_password>", "hunter2"),
            ("uri=amqp://user:hunter2@host/", "hunter2"),
        ] {
            assert_eq!(hidden(&masks, line), [value], "{line}");
        }
        for line in [
            "PasswordAuthentication no",
            "password no",
            "token: true",
            "port 6379",
        ] {
            assert_eq!(hidden(&masks, line), [""; 0], "{line}");
        }
    }

    #[test]
    fn what_the_playbook_writes_in_the_open_is_compared_in_the_open() {
        let masks = masks_except("token = disabled");
        assert_eq!(hidden(&masks, "token = disabled"), [""; 0]);
        assert_eq!(hidden(&masks, "password = disabled"), ["disabled"]);
        // Our own secrets are recognised before masks count, unless a mask hides more than the secret.
        assert_eq!(
            masks_except(&format!("token = {SECRET}")).len(),
            masks_except("").len()
        );
    }
}
