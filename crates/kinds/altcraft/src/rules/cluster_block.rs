//! The block `CLUSTER` of main.json, as the runbook's examples have it.

use types::HostName;

use crate::settings::{Groups, Process, Program, Settings};
use formats::main_json::{Want, Wants, has, is};

/// The desired block on a host, in a cluster of these members.
pub(super) fn block(settings: &Settings, members: &[HostName], host: &HostName) -> (String, Want) {
    let mut wants = vec![is("HOST_ID", host.as_str())];
    for process in &settings.processes {
        let items = members
            .iter()
            .map(|member| member_wants(settings, process, member));
        let list = process.program.list().to_owned();
        wants.push((list, Want::List("HOST_ID", items.collect())));
    }
    has("CLUSTER", wants)
}

fn member_wants(settings: &Settings, process: &Process, member: &HostName) -> Wants {
    let mut wants = vec![
        is("HOST_ID", member.as_str()),
        is("RPC_HOST", settings.rpc_host.as_str()),
        is("RPC_HOST_CLI", member.as_str()),
        is("RPC_PORT", process.port),
        is("FORCE_MASTER_ROLE", settings.is_master(member)),
    ];
    if let (Some(groups), Program::Procworkflow) = (&settings.groups, process.program) {
        wants.extend(group_wants(settings, groups, member));
    }
    wants
}

/// The master has all groups, and each host the one that it reads.
fn group_wants(settings: &Settings, groups: &Groups, member: &HostName) -> Wants {
    let defined = groups.groups.iter().map(|group| {
        let accounts = vec![
            is("INCLUDE", group.include.as_str()),
            is("EXCLUDE", group.exclude.as_str()),
        ];
        (group.name.clone(), Want::Only(accounts))
    });
    let defined: Wants = defined.collect();
    let all = if settings.is_master(member) && !defined.is_empty() {
        Want::Only(defined)
    } else {
        Want::Gone
    };
    let own = groups
        .of(member)
        .map_or(Want::Gone, |group| Want::Is(group.into()));
    vec![
        ("READERS_GROUPS".to_owned(), all),
        ("READERS_GROUP".to_owned(), own),
    ]
}
