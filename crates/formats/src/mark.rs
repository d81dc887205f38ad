//! The comment that remembers the highest server number that was ever given, in files of a coordination quorum: when
//! the member with that number leaves, there is nobody else to ask.

/// What the comment begins with.
const MARK: &str = "highest server number ever given: ";

/// The comment that remembers it.
pub fn comment(highest: u32) -> String {
    format!("{MARK}{highest}")
}

/// What such a comment says in a text.
pub fn read(text: &str) -> Option<u32> {
    let rest = &text[text.find(MARK)? + MARK.len()..];
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
