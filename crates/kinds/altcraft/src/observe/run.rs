//! A process of a host.

use plan::{Facts, Unknown};
use protocol::facts::{LogFact, TcpFact, UnitFact};
use types::HostName;

use super::log_line::{self, Start};
use super::queries;
use crate::settings::{Process, Settings};
use kit::Probe;

/// A process of a host.
pub(crate) struct Run<'a> {
    host: &'a HostName,
    pub(crate) process: &'a Process,
    pub(crate) unit: Result<&'a UnitFact, Unknown>,
    /// Whether the RPC port is open.
    pub(crate) port: Probe<()>,
    /// The start of the running process, as it logged it; `None` where that is not in the log (any more).
    pub(crate) start: Option<Start>,
    /// The latest complaint in the log.
    pub(crate) complaint: Option<String>,
}

impl<'a> Run<'a> {
    pub(super) fn observe(process: &'a Process, host: &'a HostName, facts: &'a Facts) -> Self {
        let unit = facts.get(host, &queries::unit(process));
        let lines = match facts.get(host, &queries::log(process)) {
            Ok(LogFact::Lines(lines)) => lines.as_slice(),
            Ok(LogFact::Absent) | Err(_) => &[],
        };
        let last = |at: usize| lines.get(at).map(Vec::as_slice).unwrap_or_default().iter().rev();
        let pid = unit.as_ref().map_or(0, |unit| unit.main_pid);
        let mut starts = last(0).filter_map(|line| log_line::start(line.as_str()));
        Self {
            host,
            process,
            start: starts.find(|start| pid != 0 && start.pid == pid),
            complaint: last(1).find_map(|line| log_line::complaint(line.as_str())),
            port: match facts.get(host, &queries::port(process, host)) {
                Ok(TcpFact::Open) => Probe::Up(()),
                Ok(TcpFact::Closed(silence)) => Probe::silent(&unit, silence),
                Err(unknown) => Probe::Unknown(unknown.to_string()),
            },
            unit,
        }
    }

    /// Its unit, which no package brings.
    pub(crate) fn unit_process(&self, settings: &Settings) -> kit::Process<'_> {
        kit::Process {
            host: self.host,
            unit: &self.process.unit,
            package: "",
            reads: vec![settings.config.clone()],
        }
    }

    /// Why the RPC port is not open, as far as it is known.
    pub(crate) fn closed(&self) -> Option<&str> {
        match &self.port {
            Probe::Up(()) => None,
            Probe::Down(why) | Probe::Unknown(why) | Probe::Denied(why) => Some(why),
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.unit.as_ref().is_ok_and(|unit| unit.is_active())
    }

    /// Whether it runs, or starts at boot.
    pub(crate) fn is_active_or_enabled(&self) -> bool {
        let unit = self.unit.as_ref();
        unit.is_ok_and(|unit| unit.is_active() || unit.is_enabled())
    }

    /// Whether its port is open. One that was started with another port is open there, as far as it is known.
    pub(crate) fn is_open(&self) -> bool {
        let logged = self.start.as_ref().and_then(|start| start.port);
        self.port.is_up() || logged.is_some_and(|port| port != self.process.port)
    }

    /// Whether it runs as master, as it logged; `None` where that is not known.
    pub(crate) fn logged_master(&self) -> Option<bool> {
        let start = self.start.as_ref().filter(|_| self.is_active());
        start.map(|start| start.is_master)
    }
}
