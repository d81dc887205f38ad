//! The key file that members prove themselves with, and what the real server wants of it.
//!
//! After `read_security_file.cpp`: no bit for the group or others, 6 to 1024 characters of base64, white space
//! aside.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::config::StartError;

/// Reads the key, or says why the server does not start.
pub fn read(path: &Path) -> Result<String, StartError> {
    let name = path.display();
    let fail = |message: String| Err(StartError::new(1, message));
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) => return fail(format!("Error reading file {name}: {error}")),
    };
    // The system's own files (root's, for the group) are excepted by the real server too.
    let allowed = if meta.uid() == 0 { 0o740 } else { 0o700 };
    if meta.mode() & 0o777 & !allowed != 0 {
        return fail(format!("permissions on {name} are too open"));
    }
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return fail(format!("Error reading file {name}: {error}")),
    };
    let key: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if let Some(wrong) = key
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !"+/=".contains(*c))
    {
        return fail(format!("invalid char in key file {name}: {wrong}"));
    }
    if !(6..=1024).contains(&key.len()) {
        let length = key.len();
        return fail(format!(
            "security key in {name} has length {length}, must be between 6 and 1024 chars"
        ));
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
        assert!(
            with("abcdef", 0o404)
                .unwrap_err()
                .message
                .ends_with("are too open")
        );
        assert!(
            with("abcdef", 0o420)
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
