//! The initiation of a set by its seed, and whether this plan has it.

use formats::replset::SetConfig;
use kit::Cx;
use protocol::Operation;
use protocol::facts::MongoCommand;
use types::HostName;

use super::desired_members::first_config;
use crate::observe::queries::HERE;
use crate::observe::{Member, View};

/// `NodeNotFound`: a member that was only just started may not answer the seed yet.
const NODE_NOT_FOUND: i32 = 74;

/// The version of servers of which none is known yet: the newest speak so.
pub(crate) const NEWEST: (u32, u32) = (5, 0);

/// A set that an earlier step of this plan initiates.
pub(crate) struct PlannedSet<'v> {
    /// The host that becomes the primary.
    pub(crate) seed: &'v HostName,
    /// Its first configuration.
    pub(crate) config: SetConfig,
}

/// The set that an earlier step of this plan initiates.
pub(crate) fn planned_set<'v>(view: &'v View<'_>, cx: &Cx<'_>) -> Option<PlannedSet<'v>> {
    view.listed().iter().find_map(|seed| {
        let config = initial_config(view, seed.host);
        let initiate = initiate(view, seed, &config);
        let mut earlier = cx.earlier_on(seed.host);
        let is_planned = earlier.any(|operation| *operation == initiate);
        is_planned.then_some(PlannedSet {
            seed: seed.host,
            config,
        })
    })
}

/// The configuration with which a seed is initiated.
pub(crate) fn initial_config(view: &View<'_>, seed: &HostName) -> SetConfig {
    first_config(view.settings, seed, view.version().unwrap_or(NEWEST))
}

/// The operation that initiates a set.
pub(crate) fn initiate(view: &View<'_>, seed: &Member<'_>, config: &SetConfig) -> Operation {
    Operation::Mongo {
        address: HERE.to_owned(),
        port: view.settings.port,
        // Where there is no user yet, the localhost exception allows it.
        user: seed
            .server
            .up()
            .and_then(|server| server.known_admin(view.settings)),
        commands: vec![MongoCommand::new("replSetInitiate", config.document())],
        again_on: vec![NODE_NOT_FOUND],
    }
}
