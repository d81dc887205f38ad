//! `hosts-file`: a marked block of /etc/hosts that names every host of the inventory with a numeric address.
//!
//! Only where the inventory says `manage_hosts_file = true`. Lines outside of the block are the operator's: a name
//! that they give rightly is left to them, and one that they give wrongly is refused, for the first line wins.

use std::collections::BTreeMap;
use std::net::IpAddr;

use config::{Inventory, Reader, StepDecl};
use protocol::facts::FileQuery;
use protocol::{FactQuery, Query};
use types::HostName;

use super::BuildCx;
use super::edit::{CannotEdit, Edited, edit};
use super::on_host::each_host;
use kit::{Cx, Step, StepPlan};

/// The file.
pub(super) const PATH: &str = "/etc/hosts";
const BEGIN: &str = "# BEGIN clusterctl";
const END: &str = "# END clusterctl";

struct HostsFile {
    /// Address and names of each host that the block names; `None` where the file is the operator's alone.
    hosts: Option<Vec<(IpAddr, Vec<String>)>>,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "all step kinds are built through one signature"
)]
pub(super) fn build(decl: &StepDecl, cx: &BuildCx<'_>) -> Option<Box<dyn Step>> {
    Reader::new(&decl.with, "an argument of hosts-file", cx.findings).finish();
    let hosts = cx.inventory.manage_hosts_file.then(|| named(cx.inventory));
    Some(Box::new(HostsFile { hosts }))
}

/// Every host with a numeric address: its name, and the first label of it where that means no other host.
fn named(inventory: &Inventory) -> Vec<(IpAddr, Vec<String>)> {
    let mut labels: BTreeMap<&str, usize> = BTreeMap::new();
    for host in inventory.hosts.keys() {
        *labels.entry(host.short()).or_default() += 1;
    }
    let hosts = inventory
        .hosts
        .iter()
        .filter(|(name, _)| name.as_str().parse::<IpAddr>().is_err());
    let hosts = hosts.filter_map(|(name, host)| {
        let address = host.address.as_ref()?.parse().ok()?;
        let mut names = vec![name.to_string()];
        if name.short() != name.as_str() && labels.get(name.short()) == Some(&1) {
            names.push(name.short().to_owned());
        }
        Some((address, names))
    });
    hosts.collect()
}

impl Step for HostsFile {
    fn queries(&self, _host: &HostName) -> Vec<FactQuery> {
        self.hosts.iter().map(|_| FileQuery::text(PATH).wrap()).collect()
    }

    fn plan(&self, cx: &Cx<'_>) -> StepPlan {
        let Some(hosts) = &self.hosts else {
            return StepPlan::nothing();
        };
        let query = FileQuery::text(PATH);
        each_host(cx, |host| {
            edit(host, &query, cx, |text| with_block(host, text, hosts))
        })
    }
}

/// The file with its block as it should be.
fn with_block(host: &HostName, text: &str, hosts: &[(IpAddr, Vec<String>)]) -> Edited {
    let (before, block, after) = split(text)?;
    let theirs: Vec<(IpAddr, &str)> = entries(before).chain(entries(after)).collect();
    let mut lines = Vec::new();
    for (address, names) in hosts {
        let mut ours = Vec::new();
        for name in names {
            let given: Vec<IpAddr> = theirs
                .iter()
                .filter(|(_, given)| given == name)
                .map(|(to, _)| *to)
                .collect();
            let own = |to: &IpAddr| to.is_loopback() && (name == host.as_str() || name == host.short());
            let wrong = |to: &&IpAddr| *to != address && to.is_ipv4() == address.is_ipv4() && !own(to);
            if let Some(wrong) = given.iter().find(wrong) {
                let why =
                    format!("a line of it gives {name} the address {wrong}, and the inventory {address}");
                return Err(CannotEdit::new(
                    why,
                    "the first line wins, so correct or remove that one",
                ));
            }
            if !given.contains(address) {
                ours.push(name.as_str());
            }
        }
        if !ours.is_empty() {
            lines.push(format!("{address} {}", ours.join(" ")));
        }
    }
    let found: Vec<&str> = block.unwrap_or_default().lines().collect();
    if found == lines {
        return Ok(None);
    }
    let missing: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| !found.contains(line))
        .collect();
    let names = missing
        .iter()
        .filter_map(|line| line.split(' ').nth(1))
        .collect::<Vec<&str>>();
    let reason = if names.is_empty() {
        "its block names hosts that it should not".to_owned()
    } else {
        format!("it does not name {}", names.join(", "))
    };
    Ok(Some((join(before, &lines, after), reason)))
}

fn join(before: &str, lines: &[String], after: &str) -> String {
    if lines.is_empty() {
        return format!("{before}{after}");
    }
    let ended = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    format!("{before}{ended}{BEGIN}\n{}\n{END}\n{after}", lines.join("\n"))
}

/// What stands before the block, in it, and after it; without a block all of it stands before.
fn split(text: &str) -> Result<(&str, Option<&str>, &str), CannotEdit> {
    let (mut begin, mut end, mut at) = (None, None, 0);
    for line in text.split_inclusive('\n') {
        let next = at + line.len();
        let marker = match line.trim_end() {
            BEGIN => Some(&mut begin),
            END => Some(&mut end),
            _ => None,
        };
        if let Some(marker) = marker
            && marker.replace(at..next).is_some()
        {
            return Err(CannotEdit::new(
                "it has more than one block of clusterctl",
                "leave one of them",
            ));
        }
        at = next;
    }
    match (begin, end) {
        (None, None) => Ok((text, None, "")),
        (Some(begin), Some(end)) if begin.end <= end.start => Ok((
            &text[..begin.start],
            Some(&text[begin.end..end.start]),
            &text[end.end..],
        )),
        _ => {
            let why = format!("its block has not one line {BEGIN:?} and below it one line {END:?}");
            Err(CannotEdit::new(
                why,
                "remove what is left of the block; it is made again",
            ))
        }
    }
}

/// The names that lines of hosts(5) give, each with its address.
pub(super) fn entries(text: &str) -> impl Iterator<Item = (IpAddr, &str)> {
    text.lines().flat_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let address: Option<IpAddr> = words.next().and_then(|address| address.parse().ok());
        address
            .into_iter()
            .flat_map(move |address| words.clone().map(move |name| (address, name)))
    })
}
