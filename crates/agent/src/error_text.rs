//! Text for errors: what the system reports, and the end of what a program printed.

use std::io;

/// `permission denied` instead of `Permission denied (os error 13)`.
pub(crate) fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = match text.find(" (os error ") {
        Some(end) => &text[..end],
        None => &text,
    };
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // `I/O error` and the like keep their capitals.
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

/// The last lines of what a program said, without empty ones: what belongs into an error.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_part_of_a_sentence() {
        assert_eq!(error_text(&io::Error::from_raw_os_error(13)), "permission denied");
        assert_eq!(
            error_text(&io::Error::from_raw_os_error(28)),
            "no space left on device"
        );
        assert_eq!(error_text(&io::Error::other("EOF")), "EOF");
    }

    #[test]
    fn a_tail_has_the_last_lines() {
        assert_eq!(tail("a\n\nb  \nc\n", 2), "b\nc");
        assert_eq!(tail("", 2), "");
    }
}
