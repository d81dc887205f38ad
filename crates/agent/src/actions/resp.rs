//! Sending commands to a server that speaks RESP.

use std::time::Duration;

use protocol::facts::{Query as _, RespCommand, RespFact, RespQuery, RespValue};
use protocol::{ActionError, Change, Fact};
use redis_protocol::resp2::types::OwnedFrame;
use types::SecretId;

use super::act::{Act, done, failed, line};
use crate::bounds::Time;
use crate::facts;
use crate::resp::Connection;

/// What Kvrocks answers to SLAVEOF as long as the new master, which was its replica, is still connected (ran, 2.6); it has
/// no code for it.
const STILL_A_REPLICA: &str = "can't replicate your own replicas";

/// Has the server follow the master that the sentinel names, which is not the `old` one, and sends the commands.
pub(super) fn follow(
    act: &Act<'_>,
    (address, port): (&str, u16),
    password: Option<&SecretId>,
    (word, sentinel, old): (&str, &RespQuery, &str),
    commands: &[RespCommand],
) -> Result<Change, ActionError> {
    let (answers, _held) = facts::gather(act.host, &[sentinel.wrap()]);
    let named = match answers.first() {
        Some(Ok(Fact::Resp(RespFact::Replies { replies, .. }))) => replies.first(),
        _ => None,
    };
    let Some([RespValue::Str(ip), RespValue::Str(at)]) = named.and_then(RespValue::as_list) else {
        return Err(failed("the sentinel names no master"));
    };
    if ip.as_str() == old {
        return Err(failed(format!("the sentinel still names {old} as the master")));
    }
    let follow = RespCommand::new([word, ip.as_str(), at.as_str()]);
    let all: Vec<RespCommand> = std::iter::once(follow).chain(commands.iter().cloned()).collect();
    loop {
        match send(act, address, port, password, &all) {
            Err(ActionError::Failed { message }) if message.contains(STILL_A_REPLICA) => {
                act.safe_point(word)?;
                std::thread::sleep(Duration::from_millis(50));
            }
            done => return done,
        }
    }
}

/// Sends the commands one after another, and stops at the first error.
pub(super) fn send(
    act: &Act<'_>,
    address: &str,
    port: u16,
    password: Option<&SecretId>,
    commands: &[RespCommand],
) -> Result<Change, ActionError> {
    let secrets = act.host.secrets();
    let place = format!("{address}:{port}");
    let mut share = act.host.memory.share();
    let time = Time::until(act.until);
    let opened = Connection::open(&secrets, address, port, password, time, &mut share);
    let mut connection = opened.map_err(|error| failed(format!("{place}: {error}")))?;
    for command in commands {
        let shown = line(&command.args);
        let mut share = act.host.memory.share();
        let replies = act.ask_once(&place, &shown, || {
            connection.ask(&secrets, std::slice::from_ref(command), &mut share)
        })?;
        if let Some(OwnedFrame::Error(text)) = replies.into_iter().next() {
            return Err(failed(format!("{place}: {shown}: {text}")));
        }
    }
    let all: Vec<String> = commands.iter().map(|command| line(&command.args)).collect();
    Ok(done(format!("{place}: {}", all.join("; "))))
}
