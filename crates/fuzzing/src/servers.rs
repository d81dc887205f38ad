//! Targets of what servers on a host answer to the agent, which runs as root there.
//!
//! Each goes the whole way: from the bytes of a connection to the frame for the controller, and back out of it.

use agent::fuzzing;
use protocol::Response;
use protocol::ToController;
use protocol::frame::{Decoder, encode};

/// Redis and its relatives.
pub(crate) fn resp(input: &[u8]) -> bool {
    leaves_the_agent(fuzzing::resp(input))
}

/// SSDB.
pub(crate) fn ssdb(input: &[u8]) -> bool {
    leaves_the_agent(fuzzing::ssdb(input))
}

/// MongoDB.
pub(crate) fn mongo(input: &[u8]) -> bool {
    leaves_the_agent(fuzzing::mongo(input))
}

/// The Erlang node of a RabbitMQ broker.
pub(crate) fn erlang(input: &[u8]) -> bool {
    leaves_the_agent(fuzzing::erlang(input))
}

/// ClickHouse.
pub(crate) fn http(input: &[u8]) -> bool {
    leaves_the_agent(fuzzing::http(input))
}

/// ZooKeeper and Keeper.
pub(crate) fn words(input: &[u8]) -> bool {
    leaves_the_agent(Some(fuzzing::words(input)))
}

/// Sends an answer to the controller. No secret may be in it, and what can be sent must be readable.
fn leaves_the_agent(response: Option<Response>) -> bool {
    let Some(response) = response else { return false };
    let shown = format!("{response:?}");
    assert!(
        !shown.contains(fuzzing::SECRET),
        "a secret leaves the host: {shown}"
    );
    let Ok(frame) = encode(&ToController { id: 1, response }) else {
        return true;
    };
    let mut decoder = Decoder::default();
    decoder.push(&frame);
    let read = decoder.next::<ToController>();
    assert!(
        matches!(read, Ok(Some(_))),
        "the controller cannot read {shown}: {read:?}"
    );
    true
}
