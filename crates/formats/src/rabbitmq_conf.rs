//! rabbitmq.conf: `key = value` lines; of a key that stands twice the last one counts
//! (<https://www.rabbitmq.com/docs/configure#config-file>).

use crate::lines;

/// A file's text with these keys set, and without those of `absent`.
pub fn edited(text: &str, wanted: &[(String, String)], absent: &[String]) -> String {
    let is_absent =
        |line: &&str| setting(line).is_some_and(|(key, _)| absent.iter().any(|absent| absent == key));
    let kept = lines(text).filter(|line| !is_absent(line));
    let mut lines: Vec<String> = kept.map(str::to_owned).collect();
    for (key, value) in wanted {
        let last = lines
            .iter()
            .rposition(|line| setting(line).is_some_and(|(found, _)| found == key));
        let line = format!("{key} = {value}");
        match last {
            Some(at) if setting(&lines[at]).is_some_and(|(_, found)| found == value) => {}
            Some(at) => lines[at] = line,
            None => lines.push(line),
        }
    }
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// A line's key and value; `None` for a comment and for what is no setting.
pub fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    (!key.starts_with('#')).then_some((key, value.trim()))
}
