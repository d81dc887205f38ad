//! What a node answers over the Erlang distribution, in the shape that 3.10.8 was seen to answer in.

use std::collections::BTreeSet;

use protocol::Text;
use protocol::facts::{Call, Term};
use serde_json::Value;
use types::HostName;

use super::cluster::{Cluster, Name, Queue};
use super::hosts::Hosts;
use super::node::{Process, name_of, unknown};

type Answer = Result<Term, String>;

fn str(text: &str) -> Term {
    Term::Str(text.to_owned())
}

fn pair(key: &str, value: Term) -> Term {
    Term::Tuple(vec![Term::atom(key), value])
}

fn list<T>(items: impl IntoIterator<Item = T>, term: impl Fn(T) -> Term) -> Term {
    Term::List(items.into_iter().map(term).collect())
}

fn atoms<'n>(names: impl IntoIterator<Item = &'n String>) -> Term {
    list(names, |name| Term::atom(name.clone()))
}

fn resource((vhost, name): &Name) -> Term {
    Term::Tuple(vec![
        Term::atom("resource"),
        str(vhost),
        Term::atom("queue"),
        str(name),
    ])
}

/// A map for the command line: of which queues something is so.
fn for_cli((vhost, name): &Name, kind: &str) -> Term {
    Term::Map(vec![
        (str("name"), str(name)),
        (
            str("readable_name"),
            str(&format!("queue '{name}' in vhost '{vhost}'")),
        ),
        (str("type"), str(kind)),
        (str("virtual_host"), str(vhost)),
    ])
}

/// A process, as the agent prints it.
fn pid(node: &str) -> Term {
    Term::Other(format!("<'{node}'.712.0>"))
}

impl Hosts {
    pub(super) fn call(&self, host: &HostName, call: &Call) -> Answer {
        let node = &self.nodes[host];
        let is_up = node.process == Process::Up;
        if call.when_ready && !is_up {
            return Err("not asked: rabbit_boot_state:get returns another state".to_owned());
        }
        match (call.module.as_str(), call.function.as_str()) {
            ("rabbit", "is_running") => return Ok(Term::atom(if is_up { "true" } else { "false" })),
            ("rabbit_misc", "version") => return Ok(str("3.10.8")),
            ("rabbit_mnesia", "status") => return Ok(self.status(host)),
            ("rabbit_mnesia", "cluster_nodes") => return Ok(atoms(&node.view)),
            ("rabbit_boot_state", "get") => {
                return Ok(Term::atom(match node.process {
                    Process::Up => "ready",
                    Process::Booting { .. } => "booting",
                    Process::Off | Process::Halted | Process::Paused => "stopped",
                }));
            }
            ("erlang", "whereis") => {
                let waits = node.process == Process::Paused;
                let waiting = Term::Other(format!("<'{}'.640.0>", name_of(host)));
                return Ok(if waits { waiting } else { Term::atom("undefined") });
            }
            ("rabbit_upgrade_preparation", function) => {
                let undef = format!(
                    "{{badrpc,{{'EXIT',{{undef,[{{rabbit_upgrade_preparation,{function},[],[]}}]}}}}}}"
                );
                return Err(undef);
            }
            ("rabbit_db_cluster", "cli_cluster_status") => {
                let undef = "{badrpc,{'EXIT',{undef,[{rabbit_db_cluster,cli_cluster_status,[],[]}]}}}";
                return Err(undef.to_owned());
            }
            _ => {}
        }
        if matches!(node.process, Process::Booting { .. }) {
            // Its boot may never end.
            unknown(&("of a broker that boots", call));
        }
        let cluster = self.cluster(host).filter(|_| is_up);
        let cluster = cluster.ok_or("{badrpc,{'EXIT',{aborted,{no_exists,rabbit_queue}}}}")?;
        let serving = node.cluster.map(|id| self.serving_in(id)).unwrap_or_default();
        Ok(cluster.call(&name_of(host), &serving, call))
    }

    fn status(&self, host: &HostName) -> Term {
        let node = &self.nodes[host];
        let mut parts = vec![pair("nodes", Term::List(vec![pair("disc", atoms(&node.view))]))];
        if node.process == Process::Up {
            let cut = |other: &str| {
                let other = self.host_of(other);
                other
                    .map(|other| self.nodes[&other].partitions.clone())
                    .unwrap_or_default()
            };
            let running = self.running(host);
            let partitions = running
                .iter()
                .map(|name| (name, cut(name)))
                .filter(|(_, cut)| !cut.is_empty());
            let partitions = list(partitions, |(name, cut)| {
                Term::Tuple(vec![Term::atom(name.clone()), atoms(&cut)])
            });
            parts.push(pair("running_nodes", atoms(&running)));
            parts.push(pair("partitions", partitions));
        }
        Term::List(parts)
    }
}

impl Cluster {
    fn call(&self, node: &str, serving: &BTreeSet<String>, call: &Call) -> Term {
        let args = call.args.as_slice();
        match (call.module.as_str(), call.function.as_str(), args) {
            ("rabbit_vhost", "list_names", []) => list(&self.vhosts, |name| str(name)),
            // As Debian's package starts it.
            ("application", "get_env", [Term::Atom(_), Term::Atom(_)]) => pair(
                "ok",
                str("/usr/lib/rabbitmq/plugins:/usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8/plugins"),
            ),
            ("rabbit_prelaunch_conf", "get_config_state", []) => Term::Map(vec![
                (
                    Term::atom("config_files"),
                    Term::List(vec![
                        str("/etc/rabbitmq/rabbitmq.conf"),
                        str("/etc/rabbitmq/conf.d/10-logs.conf"),
                    ]),
                ),
                (Term::atom("config_advanced_file"), Term::atom("undefined")),
            ]),
            // What 3.10 has where none was chosen.
            ("rabbit_vhost", "info_all", [Term::List(_)]) => list(&self.vhosts, |name| {
                let kind = pair("default_queue_type", Term::atom("undefined"));
                Term::List(vec![pair("name", str(name)), kind])
            }),
            ("rabbit_feature_flags", "list", [Term::Atom(_), Term::Atom(_)]) => Term::Map(Vec::new()),
            ("rabbit_maintenance", "is_being_drained_local_read", [Term::Atom(_)]) => Term::atom("false"),
            ("rabbit_amqqueue", "list_names", []) => list(self.queues.keys(), resource),
            ("rabbit_alarm", "get_alarms", []) => Term::List(Vec::new()),
            ("rabbit_policy", "list", []) => self.list_policies(),
            ("rabbit_auth_backend_internal", "list_users", []) => list(&self.users, |(name, user)| {
                Term::List(vec![pair("user", str(name)), pair("tags", atoms(&user.tags))])
            }),
            ("rabbit_auth_backend_internal", "list_permissions", []) => {
                list(&self.permissions, |((user, vhost), patterns)| {
                    let keys = ["configure", "write", "read"].iter().zip(patterns);
                    let patterns = keys.map(|(key, pattern)| pair(key, str(pattern)));
                    Term::List(
                        [pair("user", str(user)), pair("vhost", str(vhost))]
                            .into_iter()
                            .chain(patterns)
                            .collect(),
                    )
                })
            }
            ("rabbit_auth_backend_internal", "user_login_authentication", [Term::Str(name), given]) => {
                let secret = match given.get("password") {
                    Some(Term::Secret(id)) => Text::secret(id),
                    _ => unknown(&call),
                };
                let is_right = self
                    .users
                    .get(name)
                    .is_some_and(|user| user.password == secret.as_str());
                let word = if is_right { "ok" } else { "refused" };
                Term::Tuple(vec![Term::atom(word), Term::Other("...".to_owned())])
            }
            ("rabbit_amqqueue", "list_local_mirrored_classic_without_synchronised_mirrors_for_cli", []) => {
                let lacking = self.queues.iter().filter(|(name, queue)| match queue {
                    Queue::Classic { leader, mirrors, .. } => {
                        let is_safe = mirrors.values().any(|copy| copy.is_whole);
                        leader == node && self.is_mirrored(name) && !is_safe
                    }
                    Queue::Quorum { .. } => false,
                });
                list(lacking, |(name, _)| for_cli(name, "classic"))
            }
            ("rabbit_quorum_queue", "list_with_minimum_quorum_for_cli", []) => {
                let critical = self.queues.iter().filter(|(_, queue)| match queue {
                    Queue::Quorum { members, .. } => {
                        let up = members.keys().filter(|member| serving.contains(*member)).count();
                        members.contains_key(node) && up <= members.len() / 2 + 1
                    }
                    Queue::Classic { .. } => false,
                });
                list(critical, |(name, _)| for_cli(name, "quorum"))
            }
            ("rabbit_amqqueue", "list_local_quorum_queue_names", []) => {
                let here = self.queues.iter().filter(
                    |(_, queue)| matches!(queue, Queue::Quorum { members, .. } if members.contains_key(node)),
                );
                list(here, |(name, _)| resource(name))
            }
            ("rabbit_amqqueue", "list_by_type", [Term::Atom(kind)]) => {
                let of_kind = self.queues.iter().filter(|(_, queue)| match queue {
                    Queue::Quorum { .. } => kind == "quorum",
                    Queue::Classic { .. } => kind == "classic",
                });
                list(of_kind, |(name, queue)| record(name, queue, false))
            }
            ("rabbit_amqqueue", "list", []) => {
                let up = self.queues.iter().filter(|(_, queue)| match queue {
                    Queue::Quorum { .. } => true,
                    Queue::Classic { leader, .. } => serving.contains(leader),
                });
                list(up, |(name, queue)| record(name, queue, true))
            }
            _ => unknown(&call),
        }
    }

    fn list_policies(&self) -> Term {
        list(&self.policies, |((vhost, name), policy)| {
            Term::List(vec![
                pair("vhost", str(vhost)),
                pair("name", str(name)),
                pair("pattern", str(&policy.pattern)),
                pair("apply-to", str(&policy.apply_to)),
                pair(
                    "definition",
                    list(&policy.definition, |(key, value)| {
                        Term::Tuple(vec![str(key), term(value)])
                    }),
                ),
                pair("priority", Term::Int(policy.priority)),
            ])
        })
    }
}

fn term(value: &Value) -> Term {
    match value {
        Value::Bool(flag) => Term::atom(flag.to_string()),
        Value::Number(number) => number
            .as_i64()
            .map_or_else(|| Term::Float(number.to_string()), Term::Int),
        Value::String(text) => str(text),
        Value::Array(items) => list(items, term),
        Value::Object(map) => list(map, |(key, value)| Term::Tuple(vec![str(key), term(value)])),
        Value::Null => Term::atom("null"),
    }
}

/// An `amqqueue` record, as 3.8 to 3.13 have it; only that of a live queue tells of its mirrors.
fn record(name: &Name, queue: &Queue, is_live: bool) -> Term {
    let none = || Term::List(Vec::new());
    let (process, mirrors, synced, kind, state) = match queue {
        Queue::Quorum { members, leader, .. } => {
            let at = leader.as_ref().or(members.keys().next());
            let leader = at.map(|node| Term::Tuple(vec![Term::atom("orders"), Term::atom(node.clone())]));
            let state = Term::Map(vec![(Term::atom("nodes"), atoms(members.keys()))]);
            (
                leader.unwrap_or_else(none),
                none(),
                none(),
                "rabbit_quorum_queue",
                state,
            )
        }
        Queue::Classic { leader, mirrors, .. } => {
            let mirrors = mirrors.iter().filter(|_| is_live);
            let whole = mirrors.clone().filter(|(_, copy)| copy.is_whole);
            let state = Term::Map(Vec::new());
            let all = list(mirrors, |(node, _)| pid(node));
            (
                pid(leader),
                all,
                list(whole, |(node, _)| pid(node)),
                "rabbit_classic_queue",
                state,
            )
        }
    };
    let (vhost, _) = name;
    Term::Tuple(vec![
        Term::atom("amqqueue"),
        resource(name),
        Term::atom("true"),
        Term::atom("false"),
        Term::atom("none"),
        none(),
        process,
        mirrors,
        synced,
        none(),
        Term::atom("undefined"),
        Term::atom("undefined"),
        none(),
        Term::atom("undefined"),
        Term::atom("live"),
        Term::Int(0),
        none(),
        str(vhost),
        Term::Map(Vec::new()),
        Term::atom(kind),
        state,
    ])
}
