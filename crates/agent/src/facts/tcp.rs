//! Whether a port accepts connections from this host.

use std::time::Duration;

use protocol::facts::{TcpFact, TcpQuery};

use crate::bounds::Time;
use crate::stream::connect;

/// How long all addresses of a name may take.
const ALL: Duration = Duration::from_secs(10);

pub(super) fn observe(query: &TcpQuery) -> TcpFact {
    match connect(&query.host, query.port, Time::within(ALL)) {
        Ok(_stream) => TcpFact::Open,
        Err(silence) => TcpFact::Closed(silence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::facts::Silence;
    use std::net::TcpListener;

    #[test]
    fn a_port_is_open_while_somebody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let query = TcpQuery {
            host: "localhost".into(),
            port: listener.local_addr().unwrap().port(),
        };
        assert_eq!(observe(&query), TcpFact::Open);
        drop(listener);
        assert_eq!(observe(&query), TcpFact::Closed(Silence::refused()));
    }

    #[test]
    fn a_name_that_does_not_resolve_says_so() {
        let why = connect("no-such-host.invalid", 1, Time::within(ALL)).unwrap_err();
        assert_eq!(why, Silence::no_answer("no-such-host.invalid does not resolve"));
    }
}
