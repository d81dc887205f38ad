//! The names that a lab takes in the kernel: its bridge, network namespaces, links, cgroups and machines.
//!
//! They are derived from the lab's name alone, so that a later command finds again what a killed one left behind,
//! and two labs never meet. A link's name is limited to 15 characters: longer ones end in a hash.

use std::path::Path;

use sha2::{Digest, Sha256};

/// Where labs keep their state unless told otherwise.
pub(crate) const DEFAULT_STATE: &str = "/var/lib/clusterctl-lab";

/// The kernel's limit for a network link's name.
const LINK_MAX: usize = 15;

/// The longest name of a lab or a host: with both, a machine's name stays a valid one.
const NAME_MAX: usize = 24;

/// A lab or host whose name cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{name:?} cannot name a {what}: use up to {NAME_MAX} of a-z, 0-9 and '-', and begin with a letter")]
pub struct NameError {
    /// "lab" or "host".
    pub what: &'static str,
    /// The name.
    pub name: String,
}

/// Checks the name of a lab or a host; it becomes part of file names, host names and link names.
pub(crate) fn check(what: &'static str, name: &str) -> Result<(), NameError> {
    let fits = name.len() <= NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if fits {
        Ok(())
    } else {
        Err(NameError {
            what,
            name: name.to_owned(),
        })
    }
}

/// The kernel names of one lab.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    tag: String,
}

impl Names {
    /// The names of the lab `name` whose state stands under `parent`. A lab in another place than the usual one
    /// gets a tag of that place, so that two labs of one name in two places do not fight.
    pub(crate) fn new(name: &str, parent: &Path) -> Self {
        let tag = if parent == Path::new(DEFAULT_STATE) {
            name.to_owned()
        } else {
            format!("{name}_{}", &digest(&parent.to_string_lossy())[..4])
        };
        Self { tag }
    }

    /// The lab's own directory in every cgroup hierarchy.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// The bridge that joins the lab's hosts.
    pub(crate) fn bridge(&self) -> String {
        format!("cl-{}", shortened(&self.tag, LINK_MAX - 3))
    }

    /// This machine's end of the link to a host.
    pub(crate) fn link(&self, host: &str) -> String {
        format!("v-{}", shortened(&format!("{}.{host}", self.tag), LINK_MAX - 2))
    }

    /// The host's network namespace.
    pub(crate) fn netns(&self, host: &str) -> String {
        format!("{}{host}", self.netns_prefix())
    }

    /// What the lab's network namespaces begin with (a lab's or host's name has no dot).
    pub(crate) fn netns_prefix(&self) -> String {
        format!("cl-{}.", self.tag)
    }

    /// The host's name towards systemd-nspawn, unique on this machine.
    pub(crate) fn machine(&self, host: &str) -> String {
        format!("cl-{}-{host}", self.tag.replace('_', "-"))
    }
}

/// The SHA-256 of a text, in hexadecimal.
pub(crate) fn digest(text: &str) -> String {
    base16ct::lower::encode_string(&Sha256::digest(text.as_bytes()))
}

/// The text itself, or its beginning and a hash ('~' appears in no name, so it cannot meet another lab's).
fn shortened(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    format!("{}~{}", &text[..max - 7], &digest(text)[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_readable() {
        let names = Names::new("lab", Path::new(DEFAULT_STATE));
        assert_eq!(names.bridge(), "cl-lab");
        assert_eq!(names.link("app1"), "v-lab.app1");
        assert_eq!(names.netns("db1"), "cl-lab.db1");
        assert_eq!(names.machine("db1"), "cl-lab-db1");
    }

    #[test]
    fn long_names_fit_a_link_and_stay_different() {
        let names = Names::new("a-rather-long-lab-name-x", Path::new("/tmp/elsewhere"));
        let (one, two) = (names.link("database1"), names.link("database2"));
        assert!(
            one.len() <= LINK_MAX && names.bridge().len() <= LINK_MAX,
            "{one} {}",
            names.bridge()
        );
        assert_ne!(one, two);
        assert!(names.machine("a-rather-long-host-name1").len() <= 64);
    }

    #[test]
    fn the_same_name_in_two_places_is_two_labs() {
        let one = Names::new("lab", Path::new("/tmp/a"));
        let two = Names::new("lab", Path::new("/tmp/b"));
        assert_ne!(one.bridge(), two.bridge());
        assert_ne!(one.link("db1"), two.link("db1"));
    }

    #[test]
    fn names_that_would_break_something_are_refused() {
        for good in ["lab", "e2e-1", "db1"] {
            check("lab", good).unwrap();
        }
        for bad in [
            "",
            "Lab",
            "a.b",
            "1lab",
            "-x",
            "x-",
            "a/b",
            "a_b",
            "averyveryverylongnameindeed",
        ] {
            check("lab", bad).unwrap_err();
        }
    }
}
