//! The Erlang cookie of a member, against the one that is wanted.

use protocol::Text;

use crate::observe::{Member, Node, View};

/// Whether a host is a running member of a formed cluster and gets, or got and does not run with, another cookie.
///
/// A node that answered runs with the cookie of its file, for the agent proved itself with it; so nothing needs to be
/// known of when the file was written.
pub(crate) fn changes_for_all(view: &View<'_>, member: &Member<'_>) -> bool {
    member.is_clustered()
        && match &member.node {
            Ok(Node::OtherCookie(_)) => true,
            // Of one that could not be asked it is not known that it may do without the others.
            Ok(Node::Running(_) | Node::Halted { .. }) | Err(_) => differs(view, member),
            Ok(Node::Off(_)) => false,
        }
}

/// Whether the cookie's file holds another cookie than ours, or does not exist.
pub(crate) fn differs(view: &View<'_>, member: &Member<'_>) -> bool {
    let wanted = Text::secret(&view.settings.cookie);
    let file = member.cookie.as_ref();
    file.is_ok_and(|file| file.text() != Some(&wanted))
}
