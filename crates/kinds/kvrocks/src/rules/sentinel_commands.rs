//! What running sentinels are told.

use plan::Preview;
use protocol::facts::RespCommand;
use protocol::{Operation, Text};
use types::HostName;

use crate::settings::Settings;
use kit::{QUICK, Task, action};

/// What a running sentinel is told so that it watches the master.
pub(crate) fn watch(settings: &Settings, master: &str) -> Vec<RespCommand> {
    let sentinel = &settings.sentinel;
    let name = sentinel.master_name.as_str();
    let (port, quorum) = (settings.port.to_string(), sentinel.quorum.to_string());
    let mut commands = vec![
        RespCommand::new(["SENTINEL", "MONITOR", name, master, &port, &quorum]),
        set(name, "auth-pass", Text::secret(&settings.password).as_str()),
    ];
    commands.extend(
        sentinel
            .options
            .iter()
            .map(|(option, value)| set(name, option, &value.to_string())),
    );
    commands
}

pub(crate) fn set(name: &str, option: &str, value: &str) -> RespCommand {
    RespCommand::new(["SENTINEL", "SET", name, option, value])
}

pub(crate) fn resp(
    settings: &Settings,
    host: &HostName,
    title: String,
    reason: String,
    commands: Vec<RespCommand>,
) -> Task {
    let shown = commands.iter().map(|command| {
        let words: Vec<&str> = command.args.iter().map(Text::as_str).collect();
        words.join(" ")
    });
    let preview = Preview::Commands(shown.collect());
    let operation = Operation::Resp {
        address: "127.0.0.1".to_owned(),
        port: settings.sentinel.port,
        password: None,
        commands,
    };
    Task::new(host, title, reason, action(operation, QUICK)).preview(preview)
}
