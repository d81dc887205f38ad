//! Commands as an operator would type them. For people only: no shell ever reads them.

use protocol::Command;

/// A command line, quoted where a shell would need it.
pub(crate) fn quote(argv: &[String]) -> String {
    let words = argv.iter().map(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    words.collect::<Vec<String>>().join(" ")
}

/// A command with what it reads.
pub(crate) fn show(command: &Command) -> String {
    let line = quote(&command.argv);
    match &command.stdin {
        Some(text) => format!("{line} <<< {text}"),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_or_expand_them() {
        let command = Command::new(["sh", "-c", "echo 'a b' > $HOME/x", "", "--k=v"]);
        assert_eq!(show(&command), r"sh -c 'echo '\''a b'\'' > $HOME/x' '' --k=v");
    }
}
