//! `package`: packages that are installed. Which version is the distribution's business.
//!
//! Where the unit that a package would bring is there without it, somebody else has installed the program: perhaps no
//! repository has such a package, and one that came now would change what runs. An installation that was cut off is ended
//! in any case.

use protocol::facts::{PackageQuery, UnitFact, UnitQuery};
use protocol::{FactQuery, Operation, Query};
use types::{Diagnostic, HostName};

use crate::arguments::Args;
use crate::on_host::{NotPlanned, OnHost};
use kit::{Cx, Task};
use kit::{PACKAGES, action};

pub(crate) struct Package {
    /// Each with the unit that it brings, where that is told.
    packages: Vec<(String, Option<UnitQuery>)>,
}

impl OnHost for Package {
    const ARGUMENT: &'static str = "an argument of package";

    fn read(args: &Args<'_>) -> Option<Self> {
        let names = args
            .reader()
            .required("names", args.words("names"), "names = [\"nginx\"]")?;
        let units = args.words("units");
        let mut sound = true;
        if let (Some(units), Some(value)) = (&units, args.reader().value("units"))
            && units.len() != names.len()
        {
            let found = format!("units has {} items, and names has {}", units.len(), names.len());
            args.report(
                Diagnostic::error(found).at(value.span, "the unit of each package, in the same order"),
            );
            sound = false;
        }
        let mut units = units.unwrap_or_default().into_iter();
        let mut packages: Vec<(String, Option<UnitQuery>)> = Vec::new();
        for name in names {
            let unit = units.next().map(|unit| args.unit(unit));
            sound &= unit != Some(None);
            let unit = unit.flatten().map(UnitQuery::new);
            let rule = |c: char| c.is_ascii_alphanumeric() || "+-._:@~".contains(c);
            if name.text.starts_with('-') || !name.text.chars().all(rule) {
                let message = format!("{:?} is not a package's name", name.text);
                args.report(Diagnostic::error(message).at(name.span, "one name of the distribution"));
                sound = false;
            } else if !name.text.is_empty() && packages.iter().all(|(known, _)| *known != name.text) {
                packages.push((name.text, unit));
            }
        }
        sound.then_some(Self { packages })
    }

    fn queries(&self) -> Vec<FactQuery> {
        let packages = self.packages.iter().map(|(name, _)| query(name).wrap());
        let units = self.packages.iter().filter_map(|(_, unit)| unit.as_ref());
        packages.chain(units.map(Query::wrap)).collect()
    }

    fn plan(&self, host: &HostName, cx: &Cx<'_>) -> Result<Option<Task>, NotPlanned> {
        let mut missing = Vec::new();
        for (name, unit) in &self.packages {
            let package = cx.facts.get(host, &query(name))?;
            let unit = unit.as_ref().map(|unit| cx.facts.get(host, unit)).transpose()?;
            let is_by_hand = !package.is_partial && unit.is_some_and(UnitFact::exists);
            if package.version.is_none() && !is_by_hand && !cx.installs(host, name) {
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
