//! The end of what a program printed.

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
    fn a_tail_has_the_last_lines() {
        assert_eq!(tail("a\n\nb  \nc\n", 2), "b\nc");
        assert_eq!(tail("", 2), "");
    }
}
