//! The oplog's window: a member that is down for longer has to copy everything again.

use crate::observe::View;

/// How far the primary's oplog goes back, in the largest unit that leaves a number to read.
pub(crate) fn window(view: &View<'_>) -> Option<String> {
    let (_, primary) = view.primary()?;
    Some(match primary.oplog_s? {
        seconds @ 172_800.. => format!("{} days", seconds / 86_400),
        seconds @ 7_200.. => format!("{} h", seconds / 3_600),
        seconds @ 120.. => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    })
}
