//! `wait-for`: a condition that must hold before the next steps: a port that answers, a unit that runs.
//!
//! Where it holds and nothing of the plan disturbs it, there is nothing to wait for and the plan stays empty.

use protocol::facts::{TcpFact, TcpQuery, UnitQuery};
use protocol::{FactQuery, Operation, Query};
use types::{Diagnostic, HostName};

use crate::arguments::{Args, Word};
use crate::checks;
use crate::on_host::{NotPlanned, OnHost};
use kit::UNIT;
use kit::{Cx, Task};

pub(crate) struct WaitFor {
    condition: Condition,
    limit_ms: u64,
    /// The host whose units decide whether the condition holds, where it is one of the inventory's.
    depends_on: Option<HostName>,
}

enum Condition {
    Tcp(TcpQuery),
    Unit(UnitQuery),
}

impl OnHost for WaitFor {
    const ARGUMENT: &'static str = "an argument of wait-for";

    fn read(args: &Args<'_>) -> Option<Self> {
        let reader = args.reader();
        let tcp = args.word("tcp").and_then(|address| endpoint(args, &address));
        let unit = args.word("unit").and_then(|name| args.unit(name));
        let limit_ms = args.limit(UNIT);
        match (reader.value("tcp"), reader.value("unit")) {
            (Some(_), None) => {
                let query = tcp?;
                Some(Self {
                    depends_on: owner(args, &query.host),
                    condition: Condition::Tcp(query),
                    limit_ms,
                })
            }
            (None, Some(_)) => Some(Self {
                depends_on: Some(args.host.clone()),
                condition: Condition::Unit(UnitQuery::new(unit?)),
                limit_ms,
            }),
            (Some(_), Some(value)) => {
                args.report(
                    Diagnostic::error("tcp and unit are both given")
                        .at(value.span, "choose one; another step may wait for the other"),
                );
                None
            }
            (None, None) => {
                let error =
                    Diagnostic::error("there is nothing to wait for").at(reader.span(), "needs tcp, or unit");
                args.report(error.hint("tcp = \"db1:5432\", or unit = \"nginx\""));
                None
            }
        }
    }

    fn queries(&self) -> Vec<FactQuery> {
        vec![match &self.condition {
            Condition::Tcp(query) => query.wrap(),
            Condition::Unit(query) => query.wrap(),
        }]
    }

    fn plan(&self, host: &HostName, cx: &Cx<'_>) -> Result<Option<Task>, NotPlanned> {
        let (gate, not_yet) = match &self.condition {
            Condition::Tcp(query) => {
                let not_yet = match cx.facts.get(host, query)? {
                    TcpFact::Open => None,
                    TcpFact::Closed(silence) => Some(silence.to_string()),
                };
                (checks::tcp(host, query, self.limit_ms), not_yet)
            }
            Condition::Unit(query) => {
                let fact = cx.facts.get(host, query)?;
                let not_yet = (!fact.is_active()).then(|| format!("it is {}", fact.active));
                (checks::unit(host, &query.name, self.limit_ms), not_yet)
            }
        };
        let disturbed = || {
            self.is_disturbed(cx)
                .then(|| "an earlier step may interrupt it".to_owned())
        };
        let Some(reason) = not_yet.or_else(disturbed) else {
            return Ok(None);
        };
        let title = format!("wait until {}", gate.title);
        Ok(Some(Task::wait(host, title, reason, gate)))
    }
}

impl WaitFor {
    /// Whether an earlier step of the plan tells units on the host in question something.
    fn is_disturbed(&self, cx: &Cx<'_>) -> bool {
        self.depends_on.as_ref().is_some_and(|host| {
            cx.earlier_on(host)
                .any(|operation| match (operation, &self.condition) {
                    (Operation::Unit { name, .. }, Condition::Unit(unit)) => *name == unit.name,
                    (Operation::Unit { .. }, Condition::Tcp(_)) => true,
                    _ => false,
                })
        })
    }
}

/// `host:port`, or `[address]:port`.
fn endpoint(args: &Args<'_>, address: &Word) -> Option<TcpQuery> {
    let parsed = address.text.rsplit_once(':').and_then(|(host, port)| {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let sound = match bare {
            Some(numeric) => numeric.parse::<std::net::Ipv6Addr>().is_ok(),
            None => host.parse::<HostName>().is_ok(),
        };
        let port = port.parse::<u16>().ok().filter(|&port| port > 0)?;
        sound.then(|| TcpQuery {
            host: bare.unwrap_or(host).to_owned(),
            port,
        })
    });
    if parsed.is_none() {
        let message = format!("{:?} is not a port of a host", address.text);
        args.report(
            Diagnostic::error(message).at(address.span, "expected \"host:port\", or \"[IPv6]:port\""),
        );
    }
    parsed
}

/// The host of the inventory that a name or address means.
fn owner(args: &Args<'_>, name: &str) -> Option<HostName> {
    if name == "localhost"
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
    {
        return Some(args.host.clone());
    }
    let mut hosts = args.cx.inventory.hosts.iter();
    let found = hosts.find(|(host, decl)| host.as_str() == name || decl.address.as_deref() == Some(name));
    found.map(|(host, _)| host.clone())
}
