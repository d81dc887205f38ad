//! What keeps a host from running the agent, in words that help.

use std::fmt;

use crate::channel::Exit;

/// Where the agent must be kept.
const KEPT: &str = "keep the agent in a folder that the login user alone can write and that runs programs: it is \
                    ${XDG_CACHE_HOME:-$HOME/.cache}/clusterctl, which XDG_CACHE_HOME in ~/.ssh/environment or SetEnv in \
                    sshd_config moves";

/// The shell's exit status where it finds a program and cannot run it.
const CANNOT_RUN: Exit = Exit::Status(126);

/// What keeps a host from running the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no `sha256sum`.
    NoSha256sum,
    /// The agent is for another machine.
    Machine { agent: String, host: String },
    /// The cache directory cannot be written.
    Home(String),
    /// The cache directory belongs to somebody else.
    Owner(String),
    /// Others could replace the agent: they own or can write these.
    Exposed(Vec<String>),
    /// The cache directory is a symbolic link.
    Link(String),
    /// A tool that every host has is missing or fails.
    Tool(String),
    /// The agent cannot be written.
    Write(String),
    /// The agent arrived changed.
    Content,
    /// The agent did not arrive to its end.
    Short,
    /// The cache directory is on a file system that runs no programs.
    NoExec(String),
    /// sudo requires a password.
    SudoPassword,
    /// sudo requires a terminal.
    SudoTerminal,
    /// The user may not use sudo, or not for this.
    SudoForbidden(String),
    /// sudo is not installed.
    NoSudo,
    /// sudo complains of something else.
    Sudo(String),
    /// The system did not run the agent.
    NotRun(String),
    /// The agent ended before it answered.
    Silent(String),
    /// The command says something that this version does not know.
    Other(String),
}

impl Refusal {
    /// What the command's `error` says.
    pub(super) fn read(text: &str) -> Self {
        let text = text.trim();
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim().to_owned();
        match word {
            "sha256sum" => Self::NoSha256sum,
            "machine" => {
                let (agent, host) = rest.split_once(' ').unwrap_or((&rest, "unknown"));
                Self::Machine {
                    agent: agent.to_owned(),
                    host: host.to_owned(),
                }
            }
            "home" => Self::Home(rest),
            "owner" => Self::Owner(rest),
            "exposed" => Self::Exposed(rest.lines().map(str::to_owned).collect()),
            "link" => Self::Link(rest),
            "tool" => Self::Tool(rest),
            "write" => Self::Write(rest),
            "content" => Self::Content,
            "short" => Self::Short,
            "noexec" => Self::NoExec(rest),
            _ => Self::Other(text.to_owned()),
        }
    }

    /// Why the agent did not start, by the standard error and by how it ended; all of it in one line is `ending`.
    pub(super) fn of_start(stderr: &str, exit: Option<&Exit>, ending: &str) -> Self {
        let has = |part: &str| stderr.contains(part);
        if has("a password is required") || has("a terminal is required to read the password") {
            Self::SudoPassword
        } else if has("you must have a tty") {
            Self::SudoTerminal
        } else if has("not in the sudoers") || has("may not run sudo") || has("is not allowed to") {
            Self::SudoForbidden(stderr.to_owned())
        } else if has("sudo: not found") || has("sudo: command not found") {
            Self::NoSudo
        } else if has("sudo: ") {
            Self::Sudo(stderr.to_owned())
        } else if exit == Some(&CANNOT_RUN) || has("ermission denied") {
            Self::NotRun(ending.to_owned())
        } else {
            Self::Silent(ending.to_owned())
        }
    }

    /// What the operator can do.
    pub(super) fn hint(&self, label: &str) -> String {
        let user = label.rsplit_once('@').map_or(label, |(user, _)| user);
        match self {
            Self::NoSha256sum => "install coreutils or busybox there".to_owned(),
            Self::Machine { .. } => "install a clusterctl that has an agent for this machine".to_owned(),
            Self::Home(_) | Self::Owner(_) | Self::Link(_) | Self::NoExec(_) => KEPT.to_owned(),
            // Without the paths: what a host says is not for pasting into a shell.
            Self::Exposed(_) => format!(
                "check there with `ls -ld` who may write, and restrict it with `chown {user}` and `chmod go-w`; or \
                 {KEPT}"
            ),
            Self::Write(said) if said.contains("No space left") => "make room on that file system".to_owned(),
            Self::SudoPassword | Self::SudoForbidden(_) => format!(
                "give {user} a line in sudoers such as `{user} ALL=(root) NOPASSWD: ALL`, or log in as root"
            ),
            Self::SudoTerminal => format!("add `Defaults:{user} !requiretty` to sudoers"),
            Self::NoSudo => "install sudo there, or log in as root".to_owned(),
            Self::NotRun(_) => {
                "is the user's cache on a file system that runs no programs (noexec), or that root may not read (NFS)?"
                    .to_owned()
            }
            Self::Content => "try again; if it happens again, something on the way changes the data".to_owned(),
            Self::Short => "what arrived is kept for a day, and the next attempt goes on from there".to_owned(),
            Self::Write(_) | Self::Tool(_) | Self::Sudo(_) | Self::Silent(_) | Self::Other(_) => String::new(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSha256sum => f.write_str("it has no sha256sum"),
            Self::Machine { agent, host } => {
                write!(f, "the agent is for {agent}, and the host is {host}")
            }
            Self::Home(said) => write!(f, "its cache directory cannot be written: {said}"),
            Self::Owner(folder) => write!(f, "{folder} belongs to another user"),
            Self::Exposed(paths) => write!(
                f,
                "another user owns or can write {}, and so could replace the agent before it runs",
                paths.join(", ")
            ),
            Self::Link(folder) => write!(f, "{folder} is a symbolic link"),
            Self::Tool(said) => write!(f, "a tool is missing or fails: {said}"),
            Self::Write(said) => write!(f, "the agent cannot be written: {said}"),
            Self::Content => f.write_str("it was changed on the way"),
            Self::Short => f.write_str("it did not arrive whole"),
            Self::NoExec(folder) => write!(f, "{folder} is on a file system mounted noexec"),
            Self::SudoPassword => f.write_str("sudo requires a password"),
            Self::SudoTerminal => f.write_str("sudo requires a terminal"),
            Self::SudoForbidden(said) => write!(f, "the user may not become root: {said}"),
            Self::NoSudo => f.write_str("sudo is not installed"),
            Self::Sudo(said) | Self::Other(said) => f.write_str(said),
            Self::NotRun(said) => write!(f, "the system did not run it: {said}"),
            Self::Silent(said) => write!(f, "it ended before it answered: {said}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_s_errors_are_read() {
        for (text, expected) in [
            ("sha256sum\n", "it has no sha256sum"),
            (
                "machine x86_64 aarch64\n",
                "the agent is for x86_64, and the host is aarch64",
            ),
            (
                "home mkdir: cannot create directory '/home/x/.cache': Read-only file system\n",
                "its cache directory cannot be written: mkdir: cannot create directory '/home/x/.cache': Read-only \
                 file system",
            ),
            (
                "write head: error writing\nNo space left on device",
                "the agent cannot be written: head: error writing\nNo space left on device",
            ),
            (
                "exposed /home/ops/.cache\n/home\n",
                "another user owns or can write /home/ops/.cache, /home, and so could replace the agent before it runs",
            ),
            ("tool find: x\n", "a tool is missing or fails: find: x"),
            (
                "noexec /home/a b\n",
                "/home/a b is on a file system mounted noexec",
            ),
        ] {
            assert_eq!(Refusal::read(text).to_string(), expected);
        }
        let hint = Refusal::read("exposed /srv; reboot\n").hint("ops@db1");
        assert!(hint.contains("`chown ops`") && !hint.contains("reboot"), "{hint}");
        assert!(
            Refusal::read("write x: No space left on device")
                .hint("me@db1")
                .contains("room")
        );
    }

    #[test]
    fn sudo_s_words_are_understood() {
        for (stderr, expected) in [
            ("sudo: a password is required", Refusal::SudoPassword),
            (
                "sudo: sorry, you must have a tty to run sudo",
                Refusal::SudoTerminal,
            ),
            ("sh: 1: exec: sudo: not found", Refusal::NoSudo),
            ("sh: line 1: exec: sudo: not found", Refusal::NoSudo),
            ("bash: sudo: command not found", Refusal::NoSudo),
            (
                "sudo: unknown user root",
                Refusal::Sudo("sudo: unknown user root".to_owned()),
            ),
            (
                "bob is not in the sudoers file.",
                Refusal::SudoForbidden("bob is not in the sudoers file.".to_owned()),
            ),
            ("", Refusal::Silent("exit status 1".to_owned())),
        ] {
            assert_eq!(
                Refusal::of_start(stderr, Some(&Exit::Status(1)), "exit status 1"),
                expected,
                "{stderr}"
            );
        }
        // A number in what the agent printed is no exit status.
        let stderr = "killed: out of memory (PID 1260)";
        let crashed = Refusal::of_start(stderr, Some(&Exit::Status(1)), stderr);
        assert_eq!(crashed.hint("ops@db1"), "");
        let not_run = Refusal::of_start("", Some(&CANNOT_RUN), "exit status 126");
        assert!(not_run.hint("ops@db1").contains("noexec"));
        assert!(
            Refusal::SudoPassword
                .hint("ops@db1")
                .contains("`ops ALL=(root) NOPASSWD: ALL`")
        );
    }
}
