//! Running tests and counting them: what a test runner says is shown as it comes, and its closing lines are read.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, bail};

use crate::{say, stage};

/// How many tests there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// That passed.
    pub(crate) passed: u64,
    /// That did not.
    pub(crate) failed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs tests and counts them. A runner that fails without a failed test (nothing compiled, say) counts as one.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<Tally> {
    say(&format!("$ {}", stage::typed(command)));
    let mut child = command
        // Closing lines are read as they are without colours.
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
        bail!("cargo has no output");
    };
    let errors = thread::spawn(move || pass_on(err, &mut std::io::stderr()));
    let mut tally = pass_on(out, &mut std::io::stdout())?;
    match errors.join() {
        Ok(more) => tally += more?,
        Err(_) => bail!("what cargo says could not be read"),
    }
    if !child.wait()?.success() && tally.failed == 0 {
        tally.failed = 1;
    }
    Ok(tally)
}

/// Copies lines as they come, and counts what they tell of.
fn pass_on(from: impl Read, to: &mut impl Write) -> std::io::Result<Tally> {
    let mut tally = Tally::default();
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        // A reader that went away (`| head`) is no reason to stop testing.
        let _shown = to.write_all(&line).and_then(|()| to.flush()).is_ok();
        tally += closing(&String::from_utf8_lossy(&line)).unwrap_or_default();
        line.clear();
    }
    Ok(tally)
}

/// What a closing line tells; `None` where it is none. Both of cargo's runners are known:
///
/// ```text
/// test result: FAILED. 39 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.43s
///      Summary [   0.012s] 9 tests run: 5 passed (1 slow, 2 leaky), 3 failed, 1 timed out, 5 skipped
/// ```
fn closing(line: &str) -> Option<Tally> {
    let counts = match line.strip_prefix("test result: ") {
        Some(rest) => rest.split_once(". ")?.1,
        None => {
            line.trim_start()
                .strip_prefix("Summary [")?
                .split_once("run: ")?
                .1
        }
    };
    let mut tally = Tally::default();
    let plain: String = counts
        .split('(')
        .map(|part| part.split_once(')').map_or(part, |(_, rest)| rest))
        .collect();
    for count in plain.split([',', ';']) {
        let Some((number, what)) = count.trim().split_once(' ') else {
            continue;
        };
        let Ok(number) = number.parse::<u64>() else {
            continue;
        };
        match what.trim() {
            "passed" => tally.passed += number,
            "failed" | "exec failed" | "timed out" => tally.failed += number,
            _ => {}
        }
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_both_runners_are_read() {
        let tally = |passed, failed| Some(Tally { passed, failed });
        for (line, expected) in [
            (
                "test result: ok. 39 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 1.43s\n",
                tally(39, 0),
            ),
            (
                "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s\n",
                tally(1, 2),
            ),
            (
                "     Summary [   0.012s] 1 test run: 1 passed, 0 skipped\n",
                tally(1, 0),
            ),
            (
                "     Summary [  10.012s] 9/12 tests run: 5 passed (1 slow, 2 leaky), 3 failed, 1 timed out, 5 skipped\n",
                tally(5, 4),
            ),
            (
                "     Summary [   0.000s] 0 tests run: 0 passed, 3 skipped\n",
                tally(0, 0),
            ),
            ("test a::b ... ok\n", None),
            ("12 passed, 3 failed\n", None),
        ] {
            assert_eq!(closing(line), expected, "{line}");
        }
    }

    #[test]
    fn a_runner_that_says_nothing_has_failed_once() {
        let tally = run(Command::new("sh").args(["-c", "exit 101"])).unwrap();
        assert_eq!((tally.passed, tally.failed), (0, 1));
    }

    #[test]
    fn what_is_counted_is_shown_as_well() {
        let said = b"one\ntest result: ok. 2 passed; 0 failed;\nSummary [ 1s] 1 test run: 1 failed\n\xff, no newline";
        let mut shown = Vec::new();
        let tally = pass_on(&said[..], &mut shown).unwrap();
        assert_eq!((tally.passed, tally.failed), (2, 1));
        assert_eq!(shown, said);
    }
}
