//! The numbers of the coordination members: each is bound to its endpoint for ever.
//!
//! A member that comes back under another number is another voter with a foreign past, so a number is never taken
//! from a place in a list. Those in use are read from the hosts' own files; a new member gets the next one above the
//! highest that was ever given. When the member with the highest number leaves, a comment in the files that are left
//! remembers it, for no other place does.

use std::collections::BTreeMap;

use plan::Unknown;
use thiserror::Error;
use types::HostName;

use crate::observe::coordination::on_disk;
use crate::observe::view::View;

/// The members' numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ids {
    by_host: BTreeMap<HostName, u32>,
    /// The highest number that was ever given.
    highest: u32,
}

/// Why there are no numbers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Conflict {
    /// One number, two members.
    #[error("the number {id} belongs to {one} and to {other}")]
    Shared {
        /// The number.
        id: u32,
        /// One of the two.
        one: String,
        /// The other.
        other: String,
    },
    /// One member, two numbers.
    #[error("{host} has the number {one} in one place and {other} in another")]
    Two {
        /// The member.
        host: String,
        /// One of its numbers.
        one: u32,
        /// The other.
        other: u32,
    },
    /// The numbers in a file are not known.
    #[error("{host}: {why}")]
    Unreadable {
        /// The host of the file.
        host: String,
        /// Which file, and why.
        why: String,
    },
    /// A member joins, and its own files may give it a number that no other place has.
    #[error("the number of {host} is not known: {why}")]
    Unasked {
        /// The member.
        host: String,
        /// Why its files were not read.
        why: Unknown,
    },
    /// All numbers are spent.
    #[error("all numbers up to 255 were given")]
    Spent,
}

impl Ids {
    /// The numbers of these voters, from the inventory and from what the hosts' files say.
    pub(crate) fn find(view: &View<'_>, voters: &[HostName]) -> Result<Self, Conflict> {
        let mut known: BTreeMap<String, u32> = BTreeMap::new();
        let mut highest = 0;
        for member in view.members.all() {
            let Some(files) = &member.on_disk else { continue };
            if let Some(why) = &files.unreadable {
                return Err(Conflict::Unreadable {
                    host: member.host.to_string(),
                    why: why.clone(),
                });
            }
            highest = highest.max(files.mark.unwrap_or(0));
            for (id, name) in &files.servers {
                learn(&mut known, name, *id)?;
            }
            if let Some(id) = files.own {
                learn(&mut known, member.host.as_str(), id)?;
            }
        }
        // What runs tells its number too, whatever its files say by now.
        for member in &view.members.listed {
            if let Some(id) = member.voter.number {
                learn(&mut known, member.host.as_str(), id)?;
            }
        }
        for (host, id) in &view.settings.server_ids {
            learn(&mut known, host.as_str(), *id)?;
        }
        highest = known.values().copied().fold(highest, u32::max);
        let mut by_host = BTreeMap::new();
        for host in voters {
            let id = if let Some(id) = known.get(host.as_str()) {
                *id
            } else {
                if !known.is_empty() {
                    asked(view, host)?;
                }
                highest = highest.saturating_add(1);
                highest
            };
            by_host.insert(host.clone(), id);
        }
        if highest > 255 {
            return Err(Conflict::Spent);
        }
        Ok(Self { by_host, highest })
    }

    /// The number of a member.
    pub(crate) fn of(&self, host: &HostName) -> Option<u32> {
        self.by_host.get(host).copied()
    }

    /// Members and numbers.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&HostName, u32)> {
        self.by_host.iter().map(|(host, id)| (host, *id))
    }

    /// The highest number that was ever given, where no member has it any more.
    pub(crate) fn spent(&self) -> Option<u32> {
        let present = self.by_host.values().any(|&id| id == self.highest);
        (!present && self.highest > 0).then_some(self.highest)
    }
}

/// A former member has its number in its own files, and the others may have forgotten it.
fn asked(view: &View<'_>, host: &HostName) -> Result<(), Conflict> {
    for query in on_disk::numbers(view.settings) {
        view.facts.get(host, &query).map_err(|why| Conflict::Unasked {
            host: host.to_string(),
            why,
        })?;
    }
    Ok(())
}

fn learn(known: &mut BTreeMap<String, u32>, name: &str, id: u32) -> Result<(), Conflict> {
    if let Some(&other) = known.get(name) {
        if other == id {
            return Ok(());
        }
        return Err(Conflict::Two {
            host: name.to_owned(),
            one: other,
            other: id,
        });
    }
    if let Some((one, _)) = known.iter().find(|(_, other)| **other == id) {
        return Err(Conflict::Shared {
            id,
            one: one.clone(),
            other: name.to_owned(),
        });
    }
    known.insert(name.to_owned(), id);
    Ok(())
}
