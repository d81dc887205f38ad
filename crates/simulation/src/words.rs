//! An operation in a few words, for the log.

use protocol::Operation;

/// How much of it is shown.
const SHOWN: usize = 160;

/// An operation in words.
pub(crate) fn operation(operation: &Operation) -> String {
    let mut text = match operation {
        Operation::WriteFile { path, .. } => format!("writes {path}"),
        Operation::RestoreFile { path, .. } => format!("puts {path} back"),
        Operation::MakeDirectory { path, .. } => format!("makes {path}"),
        Operation::SetAccess { path, mode, .. } => format!("gives {path} the mode {mode:04o}"),
        Operation::SetDirectives { path, .. } => format!("edits {path}"),
        Operation::Unit { name, verbs, .. } => {
            let verbs: Vec<&str> = verbs.iter().map(|verb| verb.as_str()).collect();
            format!("{} {name}", verbs.join(", "))
        }
        Operation::InstallPackages { names } => format!("installs {}", names.join(" ")),
        Operation::Run { commands } => {
            let commands: Vec<String> = commands.iter().map(|command| command.argv.join(" ")).collect();
            format!("runs {}", commands.join("; "))
        }
        Operation::Mongo { commands, port, .. } => {
            let commands: Vec<String> = commands.iter().map(ToString::to_string).collect();
            format!("mongo :{port} {}", commands.join("; "))
        }
        Operation::Resp { port, commands, .. } => {
            let words = |args: &[protocol::Text]| {
                args.iter()
                    .map(protocol::Text::as_str)
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let commands: Vec<String> = commands.iter().map(|command| words(&command.args)).collect();
            format!("resp :{port} {}", commands.join("; "))
        }
        Operation::FollowMaster { port, word, .. } => format!("resp :{port} {word} the new master"),
        other => format!("{other:?}"),
    };
    if text.len() > SHOWN {
        text.truncate(text.floor_char_boundary(SHOWN));
        text.push('…');
    }
    text.replace('\n', " ")
}
