//! Replies of a server that speaks SSDB's protocol, without the secrets in them.

use protocol::facts::{SsdbCommand, SsdbFact, SsdbQuery, SsdbReply};
use protocol::{FactError, Text};
use secrets::Secrets;

use super::answer::unknown;
use crate::bounds::{Share, Time};
use crate::client::ClientError;
use crate::ssdb::{Connection, Items};

pub(super) fn observe(
    secrets: &Secrets,
    query: &SsdbQuery,
    share: &mut Share<'_>,
) -> Result<SsdbFact, FactError> {
    ask(secrets, query, share).or_else(|error| match error {
        ClientError::Silent(silence) => Ok(SsdbFact::Down(silence)),
        ClientError::Denied(why) => Ok(SsdbFact::Denied(why)),
        error => Err(unknown(error)),
    })
}

fn ask(secrets: &Secrets, query: &SsdbQuery, share: &mut Share<'_>) -> Result<SsdbFact, ClientError> {
    let password = query.password.as_ref();
    let time = Time::of_server();
    let mut connection = Connection::open(secrets, &query.address, query.port, password, time, share)?;
    let mut replies = Vec::with_capacity(query.commands.len());
    for command in &query.commands {
        replies.push(reply(secrets, command, &connection.ask(secrets, command, share)?));
    }
    Ok(SsdbFact::Replies {
        asks_password: connection.asks_password,
        replies,
    })
}

pub(super) fn reply(secrets: &Secrets, command: &SsdbCommand, items: &Items) -> SsdbReply {
    let shown = |item: &[u8]| {
        if command.is_private {
            Text::kept(0..item.len())
        } else {
            secrets.conceal_lossy(item)
        }
    };
    SsdbReply {
        status: crate::ssdb::status(items).to_owned(),
        items: items.iter().skip(1).map(|item| shown(item)).collect(),
    }
}
