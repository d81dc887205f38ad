//! Commands of RabbitMQ's own programs, and the tasks that run them.

use plan::Preview;
use protocol::{Command, Operation};
use types::HostName;

use kit::{Task, action};

/// `rabbitmqctl` with these words.
pub(crate) fn ctl(words: &[&str]) -> Command {
    Command::new([&["rabbitmqctl", "-q"], words].concat())
}

/// `rabbitmq-queues` with these words.
pub(crate) fn queues_ctl(words: &[&str]) -> Command {
    Command::new([&["rabbitmq-queues", "-q"], words].concat())
}

/// A task that runs commands on a host, and shows them.
pub(crate) fn run(
    host: &HostName,
    title: impl Into<String>,
    reason: impl Into<String>,
    commands: Vec<Command>,
    limit_ms: u64,
) -> Task {
    let shown = commands.iter().map(shown).collect();
    let action = action(Operation::Run { commands }, limit_ms);
    Task::new(host, title, reason, action).preview(Preview::Commands(shown))
}

fn shown(command: &Command) -> String {
    let words = command.argv.iter();
    let words = words.map(|word| if word.is_empty() { "''" } else { word });
    let line = words.collect::<Vec<_>>().join(" ");
    match &command.stdin {
        Some(text) => format!("{line}  < {}", text.as_str().trim_end()),
        None => line,
    }
}
