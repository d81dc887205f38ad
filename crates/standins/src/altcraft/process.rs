//! A process: read, listen, say so, and stay until it is stopped.

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::log::{Log, VERSION};
use super::main_json::{self, ConfigError, Member};

/// Which of the two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// `proctask`.
    Task,
    /// `procworkflow`.
    Workflow,
}

/// Why a process ended.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// main.json is not right.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file or the port could not be had.
    #[error("{what}: {source}")]
    Io {
        /// What for.
        what: String,
        /// Why.
        source: io::Error,
    },
}

impl Which {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Task => "proctask",
            Self::Workflow => "procworkflow",
        }
    }

    fn list(self) -> (&'static str, u16) {
        match self {
            Self::Task => ("PROC_TASKS", 8962),
            Self::Workflow => ("PROC_WORKFLOW", 7962),
        }
    }

    /// The line of the runbook.
    fn started(self, member: &Member) -> (&'static str, String) {
        let Member {
            host_id,
            rpc_host_cli,
            port,
            is_master,
            ..
        } = member;
        let head = format!(
            "Altcraft Platform [{}] {VERSION}-g8377e3e65b ((HEAD) @Now",
            self.name()
        );
        match self {
            Self::Task => (
                "server/task_server.go:314",
                format!("{head} {host_id} started on {rpc_host_cli}:{port}, is master {is_master}"),
            ),
            Self::Workflow => (
                "workflow/controlworkflow.go:108",
                format!(
                    "{head} started, workers: 6, process: 5896e0fa252eefa7_{}, host_id: {host_id}, is_primary: {is_master}, \
                     rpc addr: {rpc_host_cli}:{port}",
                    std::process::id()
                ),
            ),
        }
    }
}

/// Runs until it is killed; what ends it earlier is in the log too.
pub fn run(which: Which, base: &Path) -> Result<(), ProcessError> {
    let log = base.join(format!("var/log/{}.log", which.name()));
    let mut log = Log::open(&log, which.name()).map_err(io_error(&log))?;
    let ended = serve(which, base, &mut log);
    if let Err(error) = &ended {
        log.say("fatal", "", "main.go:1", &error.to_string())
            .map_err(io_error(base))?;
    }
    ended
}

fn serve(which: Which, base: &Path, log: &mut Log) -> Result<(), ProcessError> {
    let path: PathBuf = base.join("config/main.json");
    let text = std::fs::read_to_string(&path).map_err(io_error(&path))?;
    let (list, alone) = which.list();
    let member = main_json::read(&text, list, alone)?;
    let address = format!("{}:{}", member.rpc_host, member.port);
    let listener = TcpListener::bind(&address).map_err(io_error(Path::new(&address)))?;
    let (source, message) = which.started(&member);
    log.say("info", &member.host_id, source, &message)
        .map_err(io_error(base))?;
    let role = role(&member);
    for stream in listener.incoming() {
        // A client that only checks whether the port is open may be gone by now.
        let _ = stream.and_then(|mut stream| stream.write_all(role.as_bytes()));
    }
    Ok(())
}

/// What the RPC port says to everybody, so that a test can see the role at every moment. The platform's own protocol is
/// not known.
fn role(member: &Member) -> String {
    format!("{} is master {}\n", member.host_id, member.is_master)
}

fn io_error(what: &Path) -> impl FnOnce(io::Error) -> ProcessError {
    let what = what.display().to_string();
    move |source| ProcessError::Io { what, source }
}
