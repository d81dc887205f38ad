//! Sending commands to a server that speaks SSDB's protocol.

use protocol::facts::{SsdbCommand, SsdbReach};
use protocol::{ActionError, Change};
use types::SecretId;

use super::act::{Act, done, failed, line};
use crate::bounds::Time;
use crate::ssdb::{Connection, Items, said, status};

/// Sends the commands one after another, and stops at the first that is not `ok`.
pub(super) fn send(
    act: &Act<'_>,
    (address, port): (&str, u16),
    password: Option<&SecretId>,
    commands: &[SsdbCommand],
    until: Option<&SsdbReach>,
) -> Result<Change, ActionError> {
    let secrets = act.host.secrets();
    let mut share = act.host.memory.share();
    let time = Time::until(act.until);
    let opened = Connection::open(&secrets, address, port, password, time, &mut share);
    let connection = opened.map_err(|error| failed(format!("{address}:{port}: {error}")))?;
    let at = format!("{address}:{port}");
    let mut talk = Talk { act, connection, at };
    let rounds = match until {
        None => {
            talk.round(commands)?;
            1
        }
        Some(until) => talk.reach(commands, until)?,
    };
    let all: Vec<String> = commands.iter().map(|command| line(&command.args)).collect();
    let often = if rounds == 1 {
        String::new()
    } else {
        format!(", {rounds} times")
    };
    Ok(done(format!("{}: {}{often}", talk.at, all.join("; "))))
}

/// A conversation with a server.
struct Talk<'a> {
    act: &'a Act<'a>,
    connection: Connection,
    at: String,
}

impl Talk<'_> {
    fn round(&mut self, commands: &[SsdbCommand]) -> Result<(), ActionError> {
        commands
            .iter()
            .try_for_each(|command| self.ask(command).map(drop))
    }

    /// Sends the commands until the number is there, and returns how often that was. Each command raises it by one, so
    /// it does not go far beyond; others may raise it, too.
    fn reach(&mut self, commands: &[SsdbCommand], until: &SsdbReach) -> Result<u64, ActionError> {
        let pattern = regex_lite::Regex::new(&until.pattern).map_err(failed)?;
        let step = u64::try_from(commands.len()).unwrap_or(u64::MAX).max(1);
        let mut rounds: u64 = 0;
        loop {
            let reply = self.ask(&until.command)?;
            let found = number(&pattern, &reply).ok_or_else(|| {
                let asked = line(&until.command.args);
                failed(format!("{}: {asked} does not answer with the number", self.at))
            })?;
            if found >= until.at_least {
                return Ok(rounds);
            }
            for _ in 0..(until.at_least - found).div_ceil(step) {
                self.round(commands)?;
                rounds += 1;
            }
        }
    }

    fn ask(&mut self, command: &SsdbCommand) -> Result<Items, ActionError> {
        let shown = line(&command.args);
        let secrets = self.act.host.secrets();
        let mut share = self.act.host.memory.share();
        let reply = self.act.ask_once(&self.at, &shown, || {
            self.connection.ask(&secrets, command, &mut share)
        })?;
        if status(&reply) == "ok" {
            Ok(reply)
        } else {
            Err(failed(format!("{}: {shown}: {}", self.at, said(&reply))))
        }
    }
}

fn number(pattern: &regex_lite::Regex, reply: &Items) -> Option<u64> {
    reply.iter().find_map(|item| {
        let text = std::str::from_utf8(item).ok()?;
        pattern.captures(text)?.get(1)?.as_str().parse().ok()
    })
}
