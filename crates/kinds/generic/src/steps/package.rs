//! `package`: packages that are installed. Which version is the distribution's business.

use protocol::facts::PackageQuery;
use protocol::{FactQuery, Operation, Query};
use types::{Diagnostic, HostName};

use crate::arguments::Args;
use crate::on_host::{NotPlanned, OnHost};
use kit::{Cx, Task};
use kit::{PACKAGES, action};

pub(crate) struct Package {
    names: Vec<String>,
}

impl OnHost for Package {
    const ARGUMENT: &'static str = "an argument of package";

    fn read(args: &Args<'_>) -> Option<Self> {
        let names = args
            .reader()
            .required("names", args.words("names"), "names = [\"nginx\"]")?;
        let mut sound = true;
        let mut packages: Vec<String> = Vec::new();
        for name in names {
            let rule = |c: char| c.is_ascii_alphanumeric() || "+-._:@~".contains(c);
            if name.text.starts_with('-') || !name.text.chars().all(rule) {
                let message = format!("{:?} is not a package's name", name.text);
                args.report(Diagnostic::error(message).at(name.span, "one name of the distribution"));
                sound = false;
            } else if !name.text.is_empty() && !packages.contains(&name.text) {
                packages.push(name.text);
            }
        }
        sound.then_some(Self { names: packages })
    }

    fn queries(&self) -> Vec<FactQuery> {
        self.names.iter().map(|name| query(name).wrap()).collect()
    }

    fn plan(&self, host: &HostName, cx: &Cx<'_>) -> Result<Option<Task>, NotPlanned> {
        let mut missing = Vec::new();
        for name in &self.names {
            if cx.facts.get(host, &query(name))?.version.is_none() && !cx.installs(host, name) {
                missing.push(name.clone());
            }
        }
        if missing.is_empty() {
            return Ok(None);
        }
        let list = missing.join(", ");
        let reason = match missing.len() {
            1 => format!("{list} is not installed"),
            _ => format!("{list} are not installed"),
        };
        let operation = Operation::InstallPackages { names: missing };
        Ok(Some(Task::new(
            host,
            format!("install {list}"),
            reason,
            action(operation, PACKAGES),
        )))
    }
}

fn query(name: &str) -> PackageQuery {
    PackageQuery {
        name: name.to_owned(),
    }
}
