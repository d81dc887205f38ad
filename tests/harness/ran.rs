//! What a run of the program came to: its exit code, and what it said.

use std::process::Output;

/// What a run of the program came to.
pub struct Ran {
    words: String,
    /// Its exit code.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Ran {
    pub(crate) fn new(words: &[&str], output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self {
            words: words.join(" "),
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Expects an exit code.
    #[must_use = "what it said may be looked at, or dropped on purpose"]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "clusterctl {}\n{}\n{}",
            self.words, self.stdout, self.stderr
        );
        self
    }

    /// Expects that it said all of this, on either stream. Lines are joined, so that where a line is broken does not
    /// matter.
    pub fn says(&self, parts: &[&str]) {
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = format!("{} {}", flat(&self.stdout), flat(&self.stderr));
        for part in parts {
            let why = format!("clusterctl {} does not say {part:?}", self.words);
            assert!(
                said.contains(&flat(part)),
                "{why}:\n{}\n{}",
                self.stdout,
                self.stderr
            );
        }
    }
}
