//! The elements that are ours in each file, and those that others put there.
//!
//! A file is written as a whole, so an element that the inventory knows nothing of would be lost with the next change. And
//! what an operator wrote into another file is merged with ours, list element by list element
//! (`ConfigProcessor::mergeRecursive`): it must say the same, or one of the two must go.

use std::collections::BTreeSet;

use formats::xml::Element;

use super::files::{INTERSERVER, macros_of};
use crate::settings::Settings;
use types::HostName;

/// The shape of a file of ours: the paths of its values below the root.
pub(crate) struct Shape {
    /// Those that follow from the inventory.
    given: Vec<String>,
    /// Those of which the inventory says nothing, and that we write always alike.
    fixed: Vec<String>,
    /// Elements that belong to one file alone.
    pub(crate) exclusive: Vec<String>,
}

impl Shape {
    /// config.d/clusters.xml
    pub(crate) fn clusters(settings: &Settings) -> Self {
        let cluster = format!("remote_servers/{}", settings.cluster);
        Self::new(
            [
                "shard/internal_replication",
                "shard/replica/host",
                "shard/replica/port",
            ]
            .map(|path| format!("{cluster}/{path}")),
            [],
            [cluster.clone()],
        )
    }

    /// config.d/macros.xml
    pub(crate) fn macros(settings: &Settings, host: &HostName) -> Self {
        let macros = macros_of(settings, host).into_keys();
        let macros: Vec<String> = macros.map(|name| format!("macros/{name}")).collect();
        Self {
            given: macros.clone(),
            fixed: Vec::new(),
            exclusive: macros,
        }
    }

    /// config.d/keeper.xml
    pub(crate) fn keeper() -> Self {
        let server = |path: &str| format!("keeper_server/{path}");
        let given = [
            "zookeeper/node/host",
            "zookeeper/node/port",
            "distributed_ddl/path",
            "keeper_server/tcp_port",
            "keeper_server/server_id",
            "keeper_server/raft_configuration/server/id",
            "keeper_server/raft_configuration/server/hostname",
            "keeper_server/raft_configuration/server/port",
        ];
        Self::new(
            given.map(str::to_owned),
            [
                "log_storage_path",
                "snapshot_storage_path",
                "coordination_settings/operation_timeout_ms",
                "coordination_settings/session_timeout_ms",
                "coordination_settings/rotate_log_storage_interval",
            ]
            .map(server),
            ["keeper_server", "zookeeper"].map(str::to_owned),
        )
    }

    /// config.d/settings.xml
    pub(crate) fn settings() -> Self {
        let listen = || ["listen_host".to_owned()];
        Self::new(listen(), [INTERSERVER.to_owned()], listen())
    }

    /// users.d/USER.xml
    pub(crate) fn users(settings: &Settings) -> Self {
        let user = format!("users/{}", settings.user);
        Self::new(
            [
                format!("{user}/password"),
                "users/default/networks/ip".to_owned(),
                "users/default/networks/host".to_owned(),
            ],
            ["networks/ip", "profile", "quota"].map(|path| format!("{user}/{path}")),
            [],
        )
    }

    fn new<const G: usize, const F: usize, const E: usize>(
        given: [String; G],
        fixed: [String; F],
        exclusive: [String; E],
    ) -> Self {
        Self {
            given: given.into(),
            fixed: fixed.into(),
            exclusive: exclusive.into(),
        }
    }

    /// An element in a file of ours that is of others, or has a value that the inventory cannot give it.
    pub(crate) fn foreign(&self, found: &Element, wanted: &Element) -> Option<String> {
        let written: BTreeSet<(String, &str)> = values(wanted).into_iter().collect();
        let is_ours = |path: &String, value: &str| {
            let is_empty = value.is_empty() && self.all().any(|ours| ours.starts_with(&format!("{path}/")));
            let is_kept = !written.iter().any(|(known, _)| known == path);
            let is_fixed = self.fixed.contains(path) && (is_kept || written.contains(&(path.clone(), value)));
            is_empty || self.given.contains(path) || is_fixed
        };
        let mut values = values(found).into_iter();
        let (path, value) = values.find(|(path, value)| !is_ours(path, value))?;
        // A value may be a password.
        let shown = if path.contains("password") { "" } else { value };
        Some(format!("{path} {shown}").trim_end().to_owned())
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        self.given.iter().chain(&self.fixed)
    }

    /// What a configuration says of that which the inventory gives this file.
    pub(crate) fn given_in(&self, configuration: &Element) -> Element {
        let leaves = self.given.iter().map(String::as_str);
        prune(configuration, "", &leaves.collect()).unwrap_or_default()
    }
}

/// The element at a path of names, where it says anything.
pub(crate) fn at<'e>(root: &'e Element, path: &str) -> Option<&'e Element> {
    let mut names = path.split('/');
    let found = names.try_fold(root, |at, name| at.child(name))?;
    (!found.children.is_empty() || !found.text.is_empty()).then_some(found)
}

/// Paths and texts of the elements that have no others in them, below the root.
fn values(root: &Element) -> Vec<(String, &str)> {
    let mut all = Vec::new();
    for child in &root.children {
        if child.children.is_empty() {
            all.push((child.name.clone(), child.text.as_str()));
        } else {
            let inner = values(child).into_iter();
            all.extend(inner.map(|(path, text)| (format!("{}/{path}", child.name), text)));
        }
    }
    all
}

/// An element with no other values than those at these paths; `None` where it has none of them.
fn prune(element: &Element, at: &str, leaves: &BTreeSet<&str>) -> Option<Element> {
    let kept = element.children.iter().filter_map(|child| {
        let path = if at.is_empty() {
            child.name.clone()
        } else {
            format!("{at}/{}", child.name)
        };
        if child.children.is_empty() {
            (leaves.contains(path.as_str()) && !child.text.is_empty()).then(|| Element {
                attributes: Vec::new(),
                ..child.clone()
            })
        } else {
            prune(child, &path, leaves)
        }
    });
    let children: Vec<Element> = kept.collect();
    (!children.is_empty()).then(|| Element {
        name: element.name.clone(),
        children,
        ..Element::default()
    })
}
