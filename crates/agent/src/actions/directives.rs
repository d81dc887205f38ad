//! Editing a file of lines `NAME VALUE` as it stands at that moment.

use std::path::Path;

use protocol::{Change, Directive};
use zeroize::Zeroizing;

use super::write::{self, WriteError};
use crate::host::Host;
use tree::{Access, Place};

/// Replaces the lines of the directives, and keeps what stood there.
pub(super) fn set(host: &Host, path: &str, directives: &[Directive]) -> Result<Change, WriteError> {
    let place = Place::require(Path::new(path))?;
    let Some(old) = write::read(&place)? else {
        return Err(WriteError::Changed {
            path: place.path.clone(),
            expected: "was a file".to_owned(),
            found: "is absent".to_owned(),
        });
    };
    let content = edited(&old.content, directives);
    if content == old.content {
        return Ok(write::change(format!("{path} is already as wanted"), None));
    }
    let access = Access::found(&old.file.meta);
    write::replace(host, &place, Some(&old), &content, access)
}

/// The text without the lines of the directives, and with the new ones at its end. It may hold passwords.
fn edited(text: &[u8], directives: &[Directive]) -> Zeroizing<Vec<u8>> {
    let is_ours = |line: &[u8]| {
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let name = words.next().unwrap_or_default();
        let mut names = directives.iter().map(|directive| directive.name.as_bytes());
        names.any(|wanted| wanted.eq_ignore_ascii_case(name))
    };
    let added = directives.iter().flat_map(|directive| {
        let values = directive.values.iter();
        values.map(|value| format!("{} {value}\n", directive.name))
    });
    let added: Vec<String> = added.collect();
    let room = text.len() + 1 + added.iter().map(String::len).sum::<usize>();
    let mut edited = Zeroizing::new(Vec::with_capacity(room));
    for line in text
        .split_inclusive(|&byte| byte == b'\n')
        .filter(|line| !is_ours(line))
    {
        edited.extend_from_slice(line);
    }
    if edited.last().is_some_and(|&byte| byte != b'\n') {
        edited.push(b'\n');
    }
    for line in added {
        edited.extend_from_slice(line.as_bytes());
    }
    edited
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directive(name: &str, values: &[&str]) -> Directive {
        Directive {
            name: name.to_owned(),
            values: values.iter().map(|&value| value.to_owned()).collect(),
        }
    }

    #[test]
    fn lines_of_a_directive_are_replaced_and_all_others_stay() {
        let text = "# databases 1\ndatabases 16\n  Databases\t8\ndatabases-x 1\nsave 1 1\nport 1";
        let wanted = [
            directive("databases", &["32"]),
            directive("save", &["2 2", "3 \\3"]),
        ];
        let edited = edited(text.as_bytes(), &wanted);
        let lines = "# databases 1\ndatabases-x 1\nport 1\ndatabases 32\nsave 2 2\nsave 3 \\3\n";
        assert_eq!(std::str::from_utf8(&edited).unwrap(), lines);
    }

    #[test]
    fn an_edit_is_the_same_the_second_time() {
        let wanted = [directive("databases", &["32"])];
        let once = edited(b"port 1\n", &wanted);
        assert_eq!(edited(&once, &wanted), once);
    }
}
