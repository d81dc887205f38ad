//! Whether a port accepts connections from this host.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use protocol::facts::{TcpFact, TcpQuery};

use crate::bounds::Time;
use crate::words::words;

/// How long one address may take to answer.
const LIMIT: Duration = Duration::from_secs(3);
/// How long all addresses of a name may take.
const ALL: Duration = Duration::from_secs(10);

pub(super) fn observe(query: &TcpQuery) -> TcpFact {
    match connect(&query.host, query.port, Time::within(ALL)) {
        Ok(_stream) => TcpFact::Open,
        Err(why) => TcpFact::Closed(why),
    }
}

/// Connects to the first address of a host that answers; the error says why the last did not.
pub(crate) fn connect(host: &str, port: u16, time: Time) -> Result<TcpStream, String> {
    let mut why = format!("{host} does not resolve");
    for address in super::addresses(host) {
        let Some(left) = time.next() else {
            return Err("it did not answer in time".to_owned());
        };
        match TcpStream::connect_timeout(&SocketAddr::new(address, port), left.min(LIMIT)) {
            Ok(stream) => return Ok(stream),
            Err(error) => why = words(&error),
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!(observe(&query), TcpFact::Closed("connection refused".into()));
    }

    #[test]
    fn a_name_that_does_not_resolve_says_so() {
        let why = connect("no-such-host.invalid", 1, Time::within(ALL)).unwrap_err();
        assert_eq!(why, "no-such-host.invalid does not resolve");
    }
}
