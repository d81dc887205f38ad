//! systemd units: one `systemctl show` for all of them.
//!
//! When the main process started is compared with a file's time of change, so it is asked for in microseconds.
//! `--timestamp=us+utc` is there since systemd 248; before, the monotonic clock's value is counted from the boot.

use std::time::{Duration, Instant};

use protocol::facts::UnitFact;
use protocol::{Fact, FactError};
use rustix::time::{ClockId, clock_gettime};

use super::answer::{Answer, unknown};
use crate::clock;
use crate::host::Host;
use crate::process::{Output, ProcessError, Program, argv};
use crate::stamps::Stamps;
use crate::tail::tail;

/// How long systemd may take.
const LIMIT: Duration = Duration::from_secs(20);
const PROPERTIES: &str = "--property=LoadState,ActiveState,SubState,UnitFileState,MainPID,InvocationID,\
                          NeedDaemonReload,ExecMainStartTimestamp,ExecMainStartTimestampMonotonic,\
                          ActiveEnterTimestamp,ActiveEnterTimestampMonotonic,SourcePath";

/// Answers for all units.
pub(super) fn observe(host: &Host, names: &[&str]) -> Vec<Answer> {
    let asked: Vec<&str> = names.iter().copied().filter(|name| is_unit_name(name)).collect();
    let mut facts = match show(host, &asked) {
        Ok(facts) => facts.into_iter(),
        Err(error) => return vec![Err(error); names.len()],
    };
    let answer = |name: &&str| {
        if !is_unit_name(name) {
            return Err(unknown(format!("{name:?} is not a unit's name")));
        }
        facts
            .next()
            .map(Fact::Unit)
            .ok_or_else(|| unknown("systemctl did not answer for every unit"))
    };
    names.iter().map(answer).collect()
}

fn show(host: &Host, names: &[&str]) -> Result<Vec<UnitFact>, FactError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut output = run(host, &["--timestamp=us+utc"], names).map_err(unknown)?;
    if output.status != 0 && output.stderr_text().contains("timestamp") {
        output = run(host, &[], names).map_err(unknown)?;
    }
    let mut facts = parse(&output.stdout_text(), boot_us());
    if output.status != 0 || facts.len() != names.len() {
        let said = tail(&output.stderr_text(), 5);
        return Err(unknown(format!("systemctl show: {said}")));
    }
    let stamps = Stamps::read(&host.options.lock);
    for (fact, name) in facts.iter_mut().zip(names) {
        fact.started_with = stamps.started_with(name, &fact.invocation);
    }
    Ok(facts)
}

/// Which start of a unit its process comes from; `None` where systemd does not say.
pub(crate) fn invocation(host: &Host, name: &str) -> Option<String> {
    let output = run(host, &[], &[name]).ok()?;
    let fact = parse(&output.stdout_text(), 0).pop()?;
    Some(fact.invocation).filter(|invocation| !invocation.is_empty())
}

fn run(host: &Host, options: &[&str], names: &[&str]) -> Result<Output, ProcessError> {
    let words = ["systemctl", "show", "--no-pager", PROPERTIES];
    let argv = argv(words.iter().chain(options).chain(&["--"]).chain(names));
    let mut program = Program::new(&argv, Instant::now() + LIMIT);
    program.stop = Some(host.closing());
    program.run()
}

/// A name that stands for one unit: `systemctl` takes `*` and its like for patterns, which give any number of them.
fn is_unit_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c))
}

/// When the monotonic clock stood at 0, microseconds since 1970.
fn boot_us() -> i64 {
    let monotonic = clock_gettime(ClockId::Monotonic);
    clock::now_us() - (monotonic.tv_sec * 1_000_000 + monotonic.tv_nsec / 1000)
}

/// A paragraph of `Name=value` lines a unit.
fn parse(text: &str, boot_us: i64) -> Vec<UnitFact> {
    let paragraphs = text
        .trim_matches('\n')
        .split("\n\n")
        .filter(|text| !text.is_empty());
    paragraphs.map(|paragraph| fact(paragraph, boot_us)).collect()
}

fn fact(paragraph: &str, boot_us: i64) -> UnitFact {
    let value = |name: &str| {
        let mut lines = paragraph.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    let text = |name: &str| value(name).unwrap_or_default().to_owned();
    let when = |name: &str| {
        let since_boot = || {
            let monotonic: i64 = value(&format!("{name}Monotonic"))?.parse().ok()?;
            (monotonic > 0).then(|| boot_us + monotonic)
        };
        value(name).and_then(clock::parse_us_utc).or_else(since_boot)
    };
    let active = text("ActiveState");
    // An init script's processes are not known to systemd, but when it ran the script is.
    let script_ran = || when("ActiveEnterTimestamp").filter(|_| active == "active");
    let started = when("ExecMainStartTimestamp").or_else(script_ran);
    let enabled = match (value("UnitFileState"), value("SourcePath").and_then(init_script)) {
        (Some("generated"), Some(script)) => starts_at_boot(script, "/etc"),
        (state, _) => state.unwrap_or_default().to_owned(),
    };
    UnitFact {
        load: text("LoadState"),
        sub: text("SubState"),
        enabled,
        main_pid: value("MainPID").and_then(|pid| pid.parse().ok()).unwrap_or(0),
        started_us: started.unwrap_or(0),
        active,
        invocation: text("InvocationID"),
        stale: value("NeedDaemonReload") == Some("yes"),
        started_with: Vec::new(),
    }
}

/// The name of the init script that a unit was generated from.
fn init_script(source: &str) -> Option<&str> {
    source.strip_prefix("/etc/init.d/")
}

/// What `systemctl is-enabled` says of an init script: its unit is always there, so only the links of the run levels
/// tell, as systemd-sysv-install(8) reads them.
fn starts_at_boot(script: &str, etc: &str) -> String {
    let is_link = |name: &str| {
        let rest = name.strip_prefix('S').unwrap_or_default();
        rest.strip_prefix(|c: char| c.is_ascii_digit())
            .and_then(|rest| rest.strip_prefix(|c: char| c.is_ascii_digit()))
            == Some(script)
    };
    let has_link = |level: &u8| {
        let Ok(entries) = std::fs::read_dir(format!("{etc}/rc{level}.d")) else {
            return false;
        };
        entries
            .flatten()
            .any(|entry| entry.file_name().to_str().is_some_and(is_link))
    };
    let enabled = [2, 3, 4, 5].iter().any(has_link);
    if enabled { "enabled" } else { "disabled" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: &str = "ExecMainStartTimestamp=Tue 2026-11-24 08:51:10.123456 UTC\n\
                           ExecMainStartTimestampMonotonic=5000000\nMainPID=412\nLoadState=loaded\nActiveState=active\n\
                           SubState=running\nUnitFileState=enabled\nNeedDaemonReload=yes\n\
                           InvocationID=0d2f6d4c0cb04b6db0f0bd4dd4bd4d2b\n";
    const MISSING: &str = "MainPID=0\nExecMainStartTimestamp=\nExecMainStartTimestampMonotonic=0\nLoadState=not-found\n\
                           ActiveState=inactive\nSubState=dead\nUnitFileState=\nNeedDaemonReload=no\n";

    #[test]
    fn each_unit_is_a_paragraph() {
        let facts = parse(&format!("{RUNNING}\n{MISSING}"), 0);
        assert_eq!(facts.len(), 2);
        assert!(facts[0].exists() && facts[0].is_active() && facts[0].is_enabled() && facts[0].stale);
        assert_eq!(
            (facts[0].main_pid, facts[0].started_us),
            (412, 1_795_510_270_123_456)
        );
        assert_eq!(facts[0].invocation, "0d2f6d4c0cb04b6db0f0bd4dd4bd4d2b");
        assert!(!facts[1].exists() && !facts[1].is_active() && !facts[1].stale);
        assert_eq!(facts[1].started_us, 0);
    }

    #[test]
    fn an_old_systemd_tells_the_time_since_boot() {
        let old = RUNNING.replace("08:51:10.123456", "08:51:10");
        let old = old.replace(" UTC", " CET");
        assert_eq!(parse(&old, 1_000_000_000)[0].started_us, 1_005_000_000);
    }

    #[test]
    fn an_init_script_runs_since_systemd_ran_it() {
        let script = "MainPID=0\nExecMainStartTimestamp=\nExecMainStartTimestampMonotonic=0\nLoadState=loaded\n\
                      ActiveState=active\nSubState=exited\nUnitFileState=generated\nNeedDaemonReload=no\n\
                      ActiveEnterTimestamp=Tue 2026-11-24 08:51:10.123456 UTC\nSourcePath=/etc/init.d/no-such-script\n";
        let fact = &parse(script, 0)[0];
        assert_eq!(fact.started_us, 1_795_510_270_123_456);
        assert!(fact.is_active() && !fact.is_enabled());
    }

    #[test]
    fn an_init_script_starts_at_boot_where_a_run_level_links_it() {
        let etc = tempfile::tempdir().unwrap();
        let path = etc.path().to_str().unwrap();
        std::fs::create_dir(etc.path().join("rc3.d")).unwrap();
        for other in ["K01zookeeper", "S01zookeeper2", "Szookeeper"] {
            std::fs::write(etc.path().join("rc3.d").join(other), "").unwrap();
        }
        assert_eq!(starts_at_boot("zookeeper", path), "disabled");
        std::fs::write(etc.path().join("rc3.d/S01zookeeper"), "").unwrap();
        assert_eq!(starts_at_boot("zookeeper", path), "enabled");
    }

    #[test]
    fn patterns_are_no_names() {
        assert!(is_unit_name("redis-server@a.service") && is_unit_name("dev-disk-by\\x2duuid.swap"));
        for bad in ["", "redis*", "a b", "[x]", "a?"] {
            assert!(!is_unit_name(bad), "{bad}");
        }
    }
}
