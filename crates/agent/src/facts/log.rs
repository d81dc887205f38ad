//! Log files: the last lines that match, read from the end.

use std::collections::VecDeque;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use protocol::facts::{LogFact, LogQuery};
use protocol::{FactError, Text};
use regex_lite::Regex;
use secrets::Secrets;
use zeroize::Zeroizing;

use super::answer::unknown;
use crate::bounds::Share;
use tree::{Open, Place, TreeError};

/// No more is read, whatever the query wants.
const MOST: u64 = 16 << 20;
/// The most that is kept of a line.
const LINE: usize = 4 << 10;

pub(super) fn observe(
    secrets: &Secrets,
    query: &LogQuery,
    share: &mut Share<'_>,
) -> Result<LogFact, FactError> {
    // The bytes, the text that they become, and what a list that grows takes at its last step.
    let most = usize::try_from(query.tail.min(MOST)).unwrap_or(usize::MAX);
    share.grow(most.saturating_mul(4)).map_err(unknown)?;
    let bytes = match tail(query) {
        Ok(Some(bytes)) => bytes,
        Ok(None) | Err(TreeError::NotADirectory(_)) => return Ok(LogFact::Absent),
        Err(error) => return Err(unknown(error)),
    };
    let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
    let mut found = Vec::with_capacity(query.patterns.len());
    for pattern in &query.patterns {
        let regex = Regex::new(pattern)
            .map_err(|error| unknown(format!("{pattern:?} is not a valid pattern: {error}")))?;
        found.push(last(&regex, query.last, &text, secrets));
    }
    Ok(LogFact::Lines(found))
}

/// The end of the file, from the beginning of a line; `None` where there is no file.
fn tail(query: &LogQuery) -> Result<Option<Zeroizing<Vec<u8>>>, TreeError> {
    let path = Path::new(&query.path);
    let Some(place) = Place::find(path)? else {
        return Ok(None);
    };
    let Some(Open { mut file, meta, .. }) = place.file()? else {
        return Ok(None);
    };
    let wanted = query.tail.min(MOST);
    let start = meta.len().saturating_sub(wanted);
    let mut bytes = Zeroizing::new(Vec::new());
    let read = file.seek(SeekFrom::Start(start));
    let read = read.and_then(|_| file.take(wanted).read_to_end(&mut bytes));
    read.map_err(TreeError::io("read", path))?;
    if start > 0 {
        let first = bytes
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(bytes.len(), |at| at + 1);
        bytes.drain(..first);
    }
    Ok(Some(bytes))
}

fn last(regex: &Regex, most: u32, text: &str, secrets: &Secrets) -> Vec<Text> {
    let mut lines: VecDeque<&str> = VecDeque::new();
    for line in text.lines().filter(|line| regex.is_match(line)) {
        lines.push_back(line);
        if u32::try_from(lines.len()).is_ok_and(|len| len > most) {
            lines.pop_front();
        }
    }
    let cut = |line: &str| {
        // The secrets go first: a cut one would not be recognised.
        let line = &line[..line.floor_char_boundary(LINE + secrets.longest())];
        let text = secrets.conceal_lossy(line.as_bytes());
        let end = text.as_str().floor_char_boundary(LINE);
        Text::new(&text.as_str()[..end])
    };
    lines.into_iter().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::Memory;
    use types::Secret;

    fn seen(secrets: &Secrets, query: &LogQuery) -> Result<LogFact, FactError> {
        observe(secrets, query, &mut Memory::default().share())
    }

    fn query(path: &str) -> LogQuery {
        LogQuery {
            path: path.to_owned(),
            patterns: vec!["started".to_owned(), "error".to_owned()],
            last: 2,
            tail: 64,
        }
    }

    #[test]
    fn the_last_matching_lines_are_told_without_secrets() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let old = "started long ago\n".repeat(10);
        std::fs::write(
            &path,
            format!("{old}started 1\nno\nstarted 2\nerror: hunter2hunter2\nstarted 3"),
        )
        .unwrap();
        let secrets = Secrets::default().with([("k".parse().unwrap(), Secret::new("hunter2hunter2"))]);
        let fact = seen(&secrets, &query(path.to_str().unwrap())).unwrap();
        let lines = |all: &[&str]| all.iter().map(|&line| Text::new(line)).collect::<Vec<_>>();
        let wanted = vec![lines(&["started 2", "started 3"]), lines(&["error: ⟪secret:k⟫"])];
        assert_eq!(fact, LogFact::Lines(wanted));
    }

    #[test]
    fn a_log_that_is_not_there_is_a_fact_and_a_directory_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| query(directory.path().join(name).to_str().unwrap());
        assert_eq!(seen(&Secrets::default(), &at("none")), Ok(LogFact::Absent));
        assert!(seen(&Secrets::default(), &query(directory.path().to_str().unwrap())).is_err());
    }
}
