//! Members that were rebuilt: they overtake the last change that their peers remember of them.

use plan::Preview;
use protocol::facts::{SsdbCommand, SsdbReach};
use protocol::{Operation, UnitVerb};
use types::HostName;

use crate::checks::Check;
use crate::observe::Member;
use crate::settings::Settings;
use kit::{Task, action};

/// Time limit for changes that mean nothing, in milliseconds: there may be millions of them.
const OVERTAKE: u64 = 3_600_000;

/// Lets a host that was rebuilt go past the last change that its peers remember of it, with changes that mean nothing,
/// and lets them connect again: they go on from there, and what it copied from them they have. It goes no further: what
/// they remember must still be in its binlog.
pub(super) fn overtake(
    settings: &Settings,
    member: &Member<'_>,
    last: u64,
    everybody: &[&HostName],
) -> Vec<Task> {
    let host = member.host;
    let key = "clusterctl.overtake";
    let until = SsdbReach {
        command: SsdbCommand::new(["info"]),
        pattern: r"max_seq\s*:\s*(\d+)".to_owned(),
        at_least: last,
    };
    let operation = Operation::Ssdb {
        address: settings.place(host).to_owned(),
        port: settings.port,
        password: Some(settings.password.clone()),
        commands: vec![
            SsdbCommand::new(["set", key, "x"]),
            SsdbCommand::new(["del", key]),
        ],
        until: Some(until),
    };
    let shown = format!("set {key} x; del {key}  (until max_seq is {last})");
    let title = format!("make changes on {host} that mean nothing, up to number {last}");
    let reason = "its peers remember so many of it, and are out of sync with it before it made as many";
    let bump = Task::new(host, title, reason, action(operation, OVERTAKE)).part("overtake");
    let gate = Check::Linked.gate(settings, host, everybody, settings.sync_timeout);
    let process = member.process(settings);
    let restart = process.tell(&[UnitVerb::Restart], "its peers connect to it again");
    vec![
        bump.preview(Preview::Commands(vec![shown])),
        restart.part("again").disrupting(true).gate(gate),
    ]
}
