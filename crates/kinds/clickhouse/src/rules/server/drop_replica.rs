//! The statement that drops what is registered of a table's replica.

use plan::Preview;
use protocol::facts::{HttpFact, HttpRequest};
use protocol::{Action, Fact, Operation, Precondition, Query, Text};
use types::HostName;

use crate::observe::server::queries::{count, quote};
use crate::observe::server::replies::{Live, Replica};
use kit::{QUICK, Task};

/// A table's replica that is registered in the quorum, as one of the servers that hold the table sees it.
pub(crate) struct Registered<'a> {
    /// The host of the server that drops it.
    pub(crate) on: &'a HostName,
    pub(crate) live: &'a Live,
    /// The server's own replica of the table.
    pub(crate) replica: &'a Replica,
    /// The name that is dropped.
    pub(crate) name: &'a str,
}

impl Registered<'_> {
    /// The task that drops it: only while the table has so many replicas, and so many of them are active, which is `what`.
    pub(crate) fn task(
        &self,
        title: impl Into<String>,
        reason: impl Into<String>,
        (total, active): (usize, usize),
        what: String,
    ) -> Task {
        let Self { live, replica, .. } = self;
        let sql = format!(
            "SYSTEM DROP REPLICA '{}' FROM ZKPATH '{}'",
            quote(self.name),
            quote(&replica.path)
        );
        let only_if = Precondition {
            what,
            query: count(&live.at, &replica.table).wrap(),
            fact: Fact::Http(HttpFact::Reply {
                status: 200,
                body: Text::new(format!("{total}\t{active}\n")),
            }),
        };
        let action = Action {
            only_if: vec![only_if],
            operation: Operation::Http {
                at: live.at.clone(),
                requests: vec![HttpRequest::post("/", sql.as_str())],
                again_on: Vec::new(),
            },
            limit_ms: QUICK,
        };
        Task::new(self.on, title, reason, action).preview(Preview::Commands(vec![sql]))
    }
}
