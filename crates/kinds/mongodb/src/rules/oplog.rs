//! The oplog's window: a member that is down for longer has to copy everything again.

use formats::replset::SetConfig;
use protocol::facts::Bson;

use crate::observe::View;

/// A member that got the data so soon after the set was initiated has all changes but the first few, in seconds.
const SOON: i64 = 600;

/// How far the primary's oplog goes back, in the largest unit that leaves a number to read; `None` where it goes back to the
/// beginnings of the set, for then nothing was dropped from it yet.
pub(crate) fn window(view: &View<'_>) -> Option<String> {
    let (_, primary) = view.primary()?;
    let (earliest, latest) = primary.oplog?;
    let made = view.config.as_ref().and_then(made_s);
    if made.is_some_and(|made| earliest <= made.saturating_add(SOON)) {
        return None;
    }
    Some(match latest.saturating_sub(earliest) {
        seconds @ 172_800.. => format!("{} days", seconds / 86_400),
        seconds @ 7_200.. => format!("{} h", seconds / 3_600),
        seconds @ 120.. => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    })
}

/// When a set was initiated, in seconds since 1970: an object id begins with the time at which it was made
/// (<https://www.mongodb.com/docs/manual/reference/bson-types/#objectid>).
fn made_s(config: &SetConfig) -> Option<i64> {
    match config.set_id()? {
        Bson::ObjectId(hex) => i64::from_str_radix(hex.get(..8)?, 16).ok(),
        _ => None,
    }
}
