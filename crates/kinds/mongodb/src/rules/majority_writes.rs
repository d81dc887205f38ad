//! Writes that wait for a majority: arbiters count in it, and acknowledge none.

use formats::replset::{MemberConfig, SetConfig};
use kit::majority;

/// Why writes with `{ w: "majority" }` wait while one member that holds data is down, although the set keeps its primary;
/// `None` where they do not.
///
/// The majority is that of the voters, arbiters among them, as far as so many hold data (`writeMajorityCount` of
/// replSetGetStatus: 3 of 4 voters one of which is an arbiter, on 4.9).
pub(crate) fn stalled_by_one(config: &SetConfig) -> Option<String> {
    let voters: Vec<MemberConfig> = config.members().into_iter().filter(MemberConfig::votes).collect();
    let all = voters.len();
    let data = voters.iter().filter(|voter| !voter.is_arbiter()).count();
    let needed = majority(all).min(data);
    // With two voters that hold data, and no more, there is no primary either.
    let is_stalled = data < all && data > 1 && data.saturating_sub(1) < needed;
    is_stalled.then(|| format!("{needed} of {all} voting members must have them, and {data} hold data"))
}
