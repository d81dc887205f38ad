//! Commands to running engines and sentinels.

use plan::Preview;
use protocol::facts::{RespCommand, RespQuery, THIS_HOST};
use protocol::{Operation, Text};
use types::HostName;

use crate::observe::Engine;
use crate::observe::queries::{of_engine, of_sentinel};
use crate::settings::Settings;
use kit::{QUICK, Task, action};

/// Sends commands to an engine, at the address at which it answered.
pub(crate) fn to_engine(settings: &Settings, engine: &Engine, commands: Vec<RespCommand>) -> Operation {
    send(of_engine(settings, engine.at.clone(), commands))
}

fn send(query: RespQuery) -> Operation {
    let RespQuery {
        address,
        port,
        password,
        commands,
    } = query;
    Operation::Resp {
        address,
        port,
        password,
        commands,
    }
}

/// The task that sends commands to the sentinel of a host.
pub(crate) fn to_sentinel(
    settings: &Settings,
    host: &HostName,
    title: String,
    reason: impl Into<String>,
    commands: Vec<RespCommand>,
) -> Task {
    let shown = commands.iter().map(|command| {
        let words: Vec<&str> = command.args.iter().map(Text::as_str).collect();
        words.join(" ")
    });
    let preview = Preview::Commands(shown.collect());
    let operation = send(of_sentinel(settings, THIS_HOST, commands));
    Task::new(host, title, reason, action(operation, QUICK)).preview(preview)
}

/// Has a sentinel watch the master.
pub(crate) fn monitor(settings: &Settings, master: &str) -> Vec<RespCommand> {
    let sentinel = &settings.sentinel;
    let name = sentinel.master_name.as_str();
    let (port, quorum) = (settings.port.to_string(), sentinel.quorum.to_string());
    let mut commands = vec![
        RespCommand::new(["SENTINEL", "MONITOR", name, master, &port, &quorum]),
        set(name, "auth-pass", Text::secret(&settings.password).as_str()),
    ];
    let options = sentinel.options.iter();
    commands.extend(options.map(|(option, value)| set(name, option, &value.to_string())));
    commands
}

/// Sets an option with which a sentinel watches the master.
pub(crate) fn set(name: &str, option: &str, value: &str) -> RespCommand {
    RespCommand::new(["SENTINEL", "SET", name, option, value])
}
