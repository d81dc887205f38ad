//! Replies of a server that speaks SSDB's protocol, without the secrets in them.

use std::time::Duration;

use protocol::facts::{SsdbCommand, SsdbFact, SsdbQuery, SsdbReply};
use protocol::{FactError, Text};

use crate::secrets::Secrets;
use crate::ssdb::{Connection, Items, SsdbError};

/// How long a server may take to answer.
const LIMIT: Duration = Duration::from_secs(3);

pub(super) fn observe(secrets: &Secrets, query: &SsdbQuery) -> Result<SsdbFact, FactError> {
    match ask(secrets, query) {
        Ok(fact) => Ok(fact),
        Err(SsdbError::Down(why)) => Ok(SsdbFact::Down(why)),
        Err(SsdbError::Denied(why)) => Ok(SsdbFact::Denied(why)),
        Err(error @ SsdbError::Text(_)) => Err(super::error(error)),
    }
}

fn ask(secrets: &Secrets, query: &SsdbQuery) -> Result<SsdbFact, SsdbError> {
    let password = query.password.as_ref();
    let mut connection = Connection::open(secrets, &query.address, query.port, password, LIMIT)?;
    let mut replies = Vec::with_capacity(query.commands.len());
    for command in &query.commands {
        replies.push(reply(secrets, command, &connection.ask(secrets, command)?));
    }
    Ok(SsdbFact::Replies {
        asks_password: connection.asks_password,
        replies,
    })
}

fn reply(secrets: &Secrets, command: &SsdbCommand, items: &Items) -> SsdbReply {
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
