//! Replies of a server that speaks SSDB's protocol, without the secrets in them.

use std::time::Duration;

use protocol::facts::{SsdbCommand, SsdbFact, SsdbQuery, SsdbReply};
use protocol::{FactError, Text};

use super::answer::unknown;
use crate::bounds::{Share, Time};
use crate::secrets::Secrets;
use crate::ssdb::{Connection, Items, SsdbError};

/// How long all answers may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(3);

pub(super) fn observe(
    secrets: &Secrets,
    query: &SsdbQuery,
    share: &mut Share<'_>,
) -> Result<SsdbFact, FactError> {
    match ask(secrets, query, share) {
        Ok(fact) => Ok(fact),
        Err(SsdbError::Down(why)) => Ok(SsdbFact::Down(why)),
        Err(SsdbError::Denied(why)) => Ok(SsdbFact::Denied(why)),
        Err(error @ SsdbError::Text(_)) => Err(unknown(error)),
    }
}

fn ask(secrets: &Secrets, query: &SsdbQuery, share: &mut Share<'_>) -> Result<SsdbFact, SsdbError> {
    let password = query.password.as_ref();
    let time = Time::within(LIMIT).silence(SILENCE);
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
