//! `cargo xtask fuzz`: every target of fuzz/ in turn, for some seconds each.
//!
//! cargo-fuzz builds the programs; they are run from here, so that a finding of one does not stop the others, and so that
//! what was done is told in figures. The compiler is the pinned one: what instrumentation needs of a nightly compiler it is
//! told to allow (`RUSTC_BOOTSTRAP`). Inputs that reached something new are kept in target/fuzz/corpus for the next time;
//! those that are findings are put into fuzz/found, where tests replay them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use crate::{cargo, say, stage, tools};

/// The targets to run, and for how long.
#[derive(Debug, Args)]
pub(crate) struct FuzzArgs {
    /// How long each target is given inputs
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u64,

    /// Only this target; may be said several times
    #[arg(long, value_name = "TARGET")]
    target: Vec<String>,
}

/// What was done with one target.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Figures {
    /// How many inputs were run.
    inputs: u64,
    /// How many edges of the program they reached.
    edges: u64,
    /// How long it took.
    seconds: u64,
    /// What was found, in the target's words; `None` where nothing was.
    finding: Option<String>,
}

/// Does what the arguments say.
pub(crate) fn run(args: &FuzzArgs) -> anyhow::Result<ExitCode> {
    let root = cargo::workspace()?;
    let targets = chosen(targets(&root)?, &args.target)?;
    let tool = tools::ensure(&root, "cargo-fuzz")?;
    say("building the fuzz targets");
    build(&root, &tool, &args.target)?;
    let mut total = Figures::default();
    let mut findings = 0;
    for target in &targets {
        let figures = fuzz(&root, target, args.seconds)?;
        say(&line(target, &figures));
        total.inputs += figures.inputs;
        total.edges += figures.edges;
        total.seconds += figures.seconds;
        findings += usize::from(figures.finding.is_some());
    }
    say(&line("in all", &total));
    say(&format!("{} targets, {findings} with a finding", targets.len()));
    Ok(if findings == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The names of all targets.
fn targets(root: &Path) -> anyhow::Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        names.extend(name.map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn chosen(all: Vec<String>, wanted: &[String]) -> anyhow::Result<Vec<String>> {
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        bail!("there is no fuzz target {unknown}; there are {}", all.join(", "));
    }
    Ok(all
        .into_iter()
        .filter(|name| wanted.is_empty() || wanted.contains(name))
        .collect())
}

fn folder(root: &Path, kind: &str, target: &str) -> anyhow::Result<PathBuf> {
    let folder = root.join(kind).join(target);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn build(root: &Path, tool: &Path, only: &[String]) -> anyhow::Result<()> {
    let mut command = Command::new(tool);
    command
        .args([
            "fuzz",
            "build",
            "--fuzz-dir",
            "fuzz",
            "--target-dir",
            "target/fuzz",
        ])
        .args(match only {
            // cargo-fuzz builds one, or all.
            [one] => Some(one),
            _ => None,
        })
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(root)
        .stdin(Stdio::null());
    stage::run(&mut command)
}

/// Runs one target on the inputs that there are, and on what it makes of them.
fn fuzz(root: &Path, target: &str, seconds: u64) -> anyhow::Result<Figures> {
    let program = root
        .join("target/fuzz")
        .join(cargo::STATIC_TARGET)
        .join("release")
        .join(target);
    let found = folder(root, "fuzz/found", target)?;
    let seeds = folder(root, "target/fuzz/seeds", target)?;
    let mut command = Command::new(&program);
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", found.display()))
        // An input of some kilobytes that takes longer, or more memory, is a finding.
        .args(["-timeout=10", "-rss_limit_mb=2048", "-malloc_limit_mb=512"])
        .args(["-print_final_stats=1", "-detect_leaks=0"])
        // New inputs go to the first folder.
        .arg(folder(root, "target/fuzz/corpus", target)?)
        .args([&seeds, &found])
        .env("CLUSTERCTL_FUZZ_SEEDS", &seeds)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let committed = root.join("fuzz/corpus").join(target);
    if committed.exists() {
        command.arg(committed);
    }
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let stderr = child.stderr.take().context("the target has no standard error")?;
    let mut figures = Figures::default();
    let mut said = Vec::new();
    for line in BufReader::new(stderr).split(b'\n') {
        let line = line.context("the target cannot be read")?;
        let line = String::from_utf8_lossy(&line).into_owned();
        read(&line, &mut figures);
        said.push(line);
    }
    if !child.wait()?.success() {
        figures.finding = Some(finding(&said));
    }
    // Git keeps no empty folder, and a test asks whose each one is.
    let _is_empty = fs::remove_dir(&found);
    ensure!(
        figures.inputs > 0 || figures.finding.is_some(),
        "{target} ran no input: {}",
        said.last().map(String::as_str).unwrap_or_default()
    );
    Ok(figures)
}

/// Takes the figures out of a line of libFuzzer.
fn read(line: &str, figures: &mut Figures) {
    let number = |text: &str| -> Option<u64> { text.split_whitespace().next()?.parse().ok() };
    if let Some((_, rest)) = line.split_once("stat::number_of_executed_units:") {
        figures.inputs = number(rest).unwrap_or(figures.inputs);
    } else if let Some((_, rest)) = line.split_once(" cov: ") {
        figures.edges = number(rest).unwrap_or(figures.edges);
    } else if let Some((_, rest)) = line.split_once(" runs in ") {
        figures.seconds = number(rest).unwrap_or(figures.seconds);
    }
}

/// What libFuzzer, the sanitizer or a panic says of a finding, and where its input is.
fn finding(said: &[String]) -> String {
    let is_it = |line: &&String| {
        ["panicked at", "ERROR: ", "Test unit written to"]
            .iter()
            .any(|words| line.contains(words))
    };
    let mut lines: Vec<&str> = Vec::new();
    for (at, line) in said.iter().enumerate().filter(|(_, line)| is_it(line)) {
        lines.push(line);
        if line.contains("panicked at") {
            lines.extend(said.get(at + 1).map(String::as_str));
        }
    }
    if lines.is_empty() {
        lines.extend(said.last().map(String::as_str));
    }
    lines.join("\n    ")
}

fn line(target: &str, figures: &Figures) -> String {
    let Figures {
        inputs,
        edges,
        seconds,
        finding,
    } = figures;
    let found = finding
        .as_ref()
        .map(|finding| format!("\n  FINDING\n    {finding}"));
    format!(
        "{target:<14} {inputs:>10} inputs {edges:>7} edges {seconds:>5} s{}",
        found.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_libfuzzer_prints_them() {
        let mut figures = Figures::default();
        for line in [
            "#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 50Mb",
            "#84914\tDONE   cov: 998 ft: 1602 corp: 270/10Kb lim: 4096 exec/s: 12130 rss: 466Mb",
            "Done 84914 runs in 7 second(s)",
            "stat::number_of_executed_units: 84914",
        ] {
            read(line, &mut figures);
        }
        assert_eq!((figures.inputs, figures.edges, figures.seconds), (84_914, 998, 7));
    }

    #[test]
    fn a_finding_says_what_happened_and_where_the_input_is() {
        let said = [
            "thread '<unnamed>' panicked at crates/fuzzing/src/hosts.rs:64:5:",
            "the same edit changes the edited file",
            "stack backtrace:",
            "==1== ERROR: libFuzzer: deadly signal",
            "artifact_prefix='found/'; Test unit written to found/crash-1",
        ]
        .map(str::to_owned);
        let text = finding(&said);
        assert!(text.contains("the same edit changes the edited file"), "{text}");
        assert!(
            text.contains("found/crash-1") && !text.contains("backtrace"),
            "{text}"
        );
    }

    #[test]
    fn a_target_that_does_not_exist_is_named_with_those_that_do() {
        let all = || vec!["resp".to_owned(), "xml".to_owned()];
        assert_eq!(chosen(all(), &[]).unwrap(), all());
        assert_eq!(chosen(all(), &["xml".to_owned()]).unwrap(), ["xml"]);
        let error = chosen(all(), &["xm".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("resp, xml"), "{error}");
    }
}
