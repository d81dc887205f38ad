//! The stages of a chore that takes minutes: each is announced, timed, and listed at the end.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::say;

/// The stages so far.
#[derive(Debug)]
pub(crate) struct Stages {
    began: Instant,
    done: Vec<(String, Duration)>,
}

impl Stages {
    /// Begins to count.
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            done: Vec::new(),
        }
    }

    /// Says what begins, does it, and says how long it took.
    pub(crate) fn run<T>(
        &mut self,
        what: &str,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        say(&format!("==> {what}"));
        let began = Instant::now();
        let result = work();
        let took = began.elapsed();
        let ended = if result.is_ok() { "done" } else { "failed" };
        say(&format!("<== {what}: {ended} in {}\n", seconds(took)));
        self.done.push((what.to_owned(), took));
        result
    }

    /// How long each stage took, and all of them.
    pub(crate) fn summary(&self) -> String {
        let mut lines: Vec<String> = self.done.iter().map(|(what, took)| line(*took, what)).collect();
        lines.push(line(self.began.elapsed(), "in all"));
        lines.join("\n")
    }
}

/// Runs a command with this program's own output, after saying it as it would be typed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    say(&format!("$ {}", typed(command)));
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(status.success(), "`{}` failed: {status}", typed(command));
    Ok(())
}

/// A command as it would be typed. What is said is for reading: nobody runs it, so quoting is left out.
pub(crate) fn typed(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

fn line(took: Duration, what: &str) -> String {
    format!("{:>9}  {what}", seconds(took))
}

fn seconds(took: Duration) -> String {
    match took.as_secs() {
        0..60 => format!("{:.1} s", took.as_secs_f64()),
        all => format!("{} min {:02} s", all / 60, all % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_at_a_glance() {
        assert_eq!(seconds(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(seconds(Duration::from_mins(1)), "1 min 00 s");
        assert_eq!(seconds(Duration::from_secs(725)), "12 min 05 s");
    }

    #[test]
    fn a_command_that_fails_is_named() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert!(error.to_string().contains("sh -c exit 3"), "{error}");
        run(&mut Command::new("true")).unwrap();
    }

    #[test]
    fn a_stage_that_fails_is_listed_all_the_same() {
        let mut stages = Stages::new();
        stages.run("one", || Ok(())).unwrap();
        stages.run::<()>("two", || anyhow::bail!("no")).unwrap_err();
        let summary = stages.summary();
        let names: Vec<&str> = summary
            .lines()
            .filter_map(|line| line.rsplit("  ").next())
            .collect();
        assert_eq!(names, ["one", "two", "in all"]);
    }
}
