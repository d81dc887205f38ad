//! The key file that members prove themselves with, and what the real server wants of it.
//!
//! No bit for the group or others, whatever its owner; 6 to 1024 characters of base64, white space aside, or a YAML list
//! of such keys. The real server takes each key of a list from others; the stand-in knows the first alone.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::json;

use super::log::Line;
use super::refusal::{EXIT_BAD_INIT, StartError};

/// Reads the key, or says why the server does not start.
pub fn read(path: &Path) -> Result<String, StartError> {
    let name = path.display();
    let fail = |code: i32, kind: &str, why: String| {
        let error = json!({"error": {"code": code, "codeName": kind, "errmsg": why}});
        let line = Line::new("I", "ACCESS", 20254, "Read security file failed", error);
        Err(StartError::new(EXIT_BAD_INIT, why).logged(line))
    };
    let unreadable =
        |error: std::io::Error| fail(38, "FileNotOpen", format!("Error reading file {name}: {error}"));
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) => return unreadable(error),
    };
    if meta.mode() & 0o077 != 0 {
        return fail(30, "InvalidPath", format!("permissions on {name} are too open"));
    }
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return unreadable(error),
    };
    let listed: Vec<String> = serde_saphyr::from_str(&text).unwrap_or_default();
    let text = listed.into_iter().next().unwrap_or(text);
    let key: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if key
        .chars()
        .any(|c| !c.is_ascii_alphanumeric() && !"+/=".contains(c))
    {
        let why = format!("invalid char in key file {name}: {}", text.trim_end());
        return fail(12, "UnsupportedFormat", why);
    }
    let size = key.len();
    if !(6..=1024).contains(&size) {
        let why = format!("security key in {name} has length {size}, must be between 6 and 1024 chars");
        let attributes =
            json!({"filename": name.to_string(), "size": size, "minimumLength": 6, "maximumLength": 1024});
        let line = Line::new("E", "ACCESS", 20255, "Security key size is out range", attributes);
        return Err(StartError::new(EXIT_BAD_INIT, why).logged(line));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn with(content: &str, mode: u32) -> Result<String, StartError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        read(&path)
    }

    #[test]
    fn only_a_private_key_of_the_right_form_is_taken() {
        assert_eq!(with("abc def\n", 0o400).unwrap(), "abcdef");
        assert_eq!(with("- abcdef\n- ghijkl\n", 0o400).unwrap(), "abcdef");
        assert!(
            with("abcdef", 0o404)
                .unwrap_err()
                .message
                .ends_with("are too open")
        );
        assert!(
            with("abcdef", 0o440)
                .unwrap_err()
                .message
                .ends_with("are too open")
        );
        assert!(with("abc", 0o400).unwrap_err().message.contains("has length 3"));
        assert!(
            with(&"a".repeat(1025), 0o400)
                .unwrap_err()
                .message
                .contains("has length 1025")
        );
        assert!(
            with("abcdef!", 0o400)
                .unwrap_err()
                .message
                .contains("invalid char")
        );
    }
}
