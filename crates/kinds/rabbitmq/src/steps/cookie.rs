//! The Erlang cookie: the same bytes on all members.
//!
//! Members with different cookies do not talk to each other, so on a formed cluster a new cookie takes effect on all
//! of them at once or not at all. That stops the service, and needs consent.

use plan::{Consent, Refusal};
use protocol::{FileState, Operation, Text};
use types::HostName;

use crate::observe::view::{self, Node};
use crate::settings::Settings;
use kit::{Cx, StepPlan, Task};
use kit::{DesiredFile, each_host};

/// The consent to stop a formed cluster for a new cookie.
const CONSENT: &str = "rabbitmq.cookie";

pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let query = view::cookie_query(settings);
    let mut plan = each_host(cx, |host| {
        let desired = DesiredFile {
            query: &query,
            text: Text::secret(&settings.cookie),
            // "Cookie file .erlang.cookie must be accessible by owner only" otherwise, and the node does not start.
            mode: 0o400,
            owner: "rabbitmq",
            group: "rabbitmq",
        };
        let mut task = desired.plan(host, cx.facts)?;
        if let Some(Operation::WriteFile { was, .. }) = operation(&mut task)
            && cx.installs(host, &settings.package)
        {
            // The package's broker makes one up when it starts.
            *was = FileState::Any;
        }
        Ok(task.into_iter().collect())
    });
    let changing: Vec<&HostName> = cx
        .hosts
        .iter()
        .filter(|host| changes_for_all(settings, host, cx))
        .collect();
    let refused: Vec<&HostName> = changing
        .iter()
        .copied()
        .filter(|host| !cx.is_allowed(CONSENT, host))
        .collect();
    if !refused.is_empty() {
        plan.tasks.retain(|task| !changing.contains(&&task.host));
    }
    for host in refused {
        plan.refusals.push(Refusal {
            service: None,
            host: Some(host.clone()),
            what: format!("{host} does not get another Erlang cookie"),
            why: "it is a member of a formed cluster, and another cookie means that all members are stopped at the \
                  same time"
                .to_owned(),
            way_out: "put the cookie that the cluster runs with back, or allow the change on every member".to_owned(),
            consent: Some(Consent { action: CONSENT.to_owned(), host: host.clone() }),
        });
    }
    plan
}

fn operation(task: &mut Option<Task>) -> Option<&mut Operation> {
    Some(&mut task.as_mut()?.action.as_mut()?.operation)
}

/// Whether a host is a running member of a formed cluster and gets, or got and does not run with, another cookie.
///
/// A node that answered runs with the cookie of its file, for the agent proved itself with it; so nothing needs to be
/// known of when the file was written.
pub(crate) fn changes_for_all(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> bool {
    if !is_clustered(settings, host, cx) {
        return false;
    }
    match view::node(settings, host, cx.facts) {
        Ok(Node::OtherCookie) => true,
        Ok(Node::Up(_) | Node::Halted(_)) => text_differs(settings, host, cx),
        Ok(Node::Off(_)) | Err(_) => false,
    }
}

/// Whether a node is a member of a cluster with others.
pub(crate) fn is_clustered(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> bool {
    match view::node(settings, host, cx.facts) {
        Ok(Node::Up(broker)) => broker.members.len() > 1,
        Ok(Node::Halted(members) | Node::Off(Some(members))) => members.len() > 1,
        // It cannot be asked; what its disk says is the best there is.
        Ok(Node::OtherCookie) => {
            view::disk_members(settings, host, cx.facts).is_ok_and(|members| members.len() > 1)
        }
        Ok(Node::Off(None)) | Err(_) => false,
    }
}

/// Whether the cookie's file holds another cookie than ours, or is not there.
pub(crate) fn text_differs(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> bool {
    let fact = cx.facts.get(host, &view::cookie_query(settings));
    fact.is_ok_and(|fact| fact.text() != Some(&Text::secret(&settings.cookie)))
}
