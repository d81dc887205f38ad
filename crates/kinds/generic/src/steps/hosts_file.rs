//! `hosts-file`: a marked block of /etc/hosts that names every host of the inventory with a numeric address.
//!
//! Only where the inventory says `manage_hosts_file = true`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use config::{Inventory, Reader, StepDecl};
use kit::{Cx, Step, StepPlan};
use protocol::facts::FileQuery;
use protocol::{FactQuery, Query};
use types::HostName;

use crate::arguments::BuildCx;
use crate::files::edit;
use crate::files::etc_hosts::{PATH, with_block};
use crate::on_host::each_host;

struct HostsFile {
    /// Address and names of each host that the block names; `None` where the file is the operator's alone.
    hosts: Option<Vec<(IpAddr, Vec<String>)>>,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "all step kinds are built through one signature"
)]
pub(crate) fn build(decl: &StepDecl, cx: &BuildCx<'_>) -> Option<Box<dyn Step>> {
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
