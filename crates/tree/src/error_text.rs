//! What the system reports, as a part of a sentence.

use std::io;

/// `permission denied` instead of `Permission denied (os error 13)`.
pub fn error_text(error: &io::Error) -> String {
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
}
