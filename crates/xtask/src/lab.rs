//! `cargo xtask lab`: the lab's commands for a person at a terminal.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::{CellAlignment, Table, presets};
use lab::{Cut, HostStatus, Lab, LabOptions, Programs, Range, Suite};

use crate::{say, standins};

/// Which lab, and what to do with it.
#[derive(Debug, Args)]
pub(crate) struct LabArgs {
    /// The lab's name; several labs can stand side by side
    #[arg(long, global = true, default_value = lab::DEFAULT_NAME)]
    name: String,

    /// What the hosts are made with
    #[arg(long, global = true, value_enum, default_value_t)]
    engine: EngineArg,

    /// A TOML file that names other hosts than db1 to db3, app1 and app2: [hosts] NAME = LAST PART OF ADDRESS
    #[arg(long, global = true, value_name = "FILE")]
    hosts: Option<PathBuf>,

    /// The Debian release of its hosts, bookworm or trixie; that of the lab, or bookworm, unless given
    #[arg(long, global = true)]
    suite: Option<Suite>,

    /// The lab's addresses, like 10.90.0.0/24; the next free range unless given
    #[arg(long, global = true, value_name = "RANGE")]
    net: Option<Range>,

    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum EngineArg {
    /// systemd-nspawn containers
    #[default]
    Nspawn,
}

/// The programs that Debian has no package of: this project's stand-ins, or real ones.
#[derive(Debug, Args)]
struct ProgramArgs {
    /// Put this SSDB server into the hosts instead of the stand-in
    #[arg(long, value_name = "PATH")]
    ssdb_server: Option<PathBuf>,

    /// Put this mongod into the hosts instead of the stand-in
    #[arg(long, value_name = "PATH")]
    mongod: Option<PathBuf>,

    /// Put this Kvrocks into the hosts, which has no stand-in
    #[arg(long, value_name = "PATH")]
    kvrocks: Option<PathBuf>,

    /// Take the stand-ins from this directory instead of building them
    #[arg(long, env = "CLUSTERCTL_STANDINS", value_name = "DIR")]
    standins: Option<PathBuf>,
}

impl ProgramArgs {
    fn choose(&self) -> anyhow::Result<Programs> {
        let dir = match &self.standins {
            Some(dir) => dir.clone(),
            None => standins::build()?,
        };
        let mut programs = lab::programs_in(&dir);
        let real = [
            ("ssdb-server", &self.ssdb_server),
            ("mongod", &self.mongod),
            ("kvrocks", &self.kvrocks),
        ];
        for (name, path) in real {
            if let Some(path) = path {
                programs.insert(name.to_owned(), std::path::absolute(path)?);
            }
        }
        Ok(programs)
    }
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make the lab and start its hosts; mends what a killed lab left behind
    Up(ProgramArgs),
    /// Shut the hosts down; they keep their data
    Down {
        /// Delete the lab's files and the hosts' data as well (the image stays in the cache)
        #[arg(long)]
        purge: bool,
    },
    /// Show each host's address, state, memory and disk
    Status,
    /// Log in to a host, or run a command on it (HOST or USER@HOST; root unless said otherwise)
    Ssh {
        /// The host
        host: String,
        /// The command
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Start a host that is off
    Start {
        /// The host
        host: String,
    },
    /// Shut a host down
    Stop {
        /// The host
        host: String,
    },
    /// Cut a host's power
    Kill {
        /// The host
        host: String,
    },
    /// Pull a host's network cable
    Cut {
        /// The host
        host: String,
        /// Leave the host's link up, but let nothing through
        #[arg(long)]
        silent: bool,
    },
    /// Plug a host's network cable in again
    Heal {
        /// The host
        host: String,
    },
    /// Make a host anew, without its data
    Reset {
        /// The host
        host: String,
    },
}

/// Does what the arguments say.
pub(crate) fn run(args: LabArgs) -> anyhow::Result<ExitCode> {
    let lab = open(&args)?;
    match args.action {
        Action::Up(_) => lab.up()?,
        Action::Down { purge } => lab.down(purge)?,
        Action::Status => say(&table(&lab.status()?)),
        Action::Ssh { host, command } => return ssh(&lab, &host, &command),
        Action::Start { host } => lab.start(&host)?,
        Action::Stop { host } => lab.stop(&host)?,
        Action::Kill { host } => lab.kill(&host)?,
        Action::Cut { host, silent } => lab.cut_how(&host, if silent { Cut::Silent } else { Cut::Unplug })?,
        Action::Heal { host } => lab.heal(&host)?,
        Action::Reset { host } => lab.reset(&host)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn open(args: &LabArgs) -> anyhow::Result<Lab> {
    let options = LabOptions {
        name: args.name.clone(),
        engine: match args.engine {
            EngineArg::Nspawn => lab::Engine::Nspawn,
        },
        hosts: args.hosts.as_deref().map(lab::read_hosts).transpose()?,
        suite: args.suite,
        net: args.net,
        programs: match &args.action {
            Action::Up(programs) => Some(programs.choose()?),
            _ => None,
        },
        progress: Arc::new(say),
        ..LabOptions::default()
    };
    Ok(Lab::open(options)?)
}

/// Becomes ssh, so that its terminal, signals and exit code are the caller's own.
fn ssh(lab: &Lab, host: &str, command: &[String]) -> anyhow::Result<ExitCode> {
    let name = host.rsplit_once('@').map_or(host, |(_, name)| name);
    lab.address(name)?;
    let error = Command::new("ssh")
        .arg("-F")
        .arg(lab.ssh_config())
        .arg(host)
        .args(command)
        .exec();
    Err(error).context("cannot run ssh")
}

fn table(hosts: &[HostStatus]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["HOST", "ADDRESS", "STATE", "MEMORY", "DISK"]);
    for host in hosts {
        table.add_row([
            host.name.clone(),
            host.address
                .map_or_else(|| "-".to_owned(), |address| address.to_string()),
            host.state.to_string(),
            mebibytes(host.memory),
            mebibytes(host.disk),
        ]);
    }
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

fn mebibytes(bytes: u64) -> String {
    if bytes == 0 {
        return "-".to_owned();
    }
    format!("{} MiB", bytes.div_ceil(1024 * 1024))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use lab::HostState;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        lab: LabArgs,
    }

    #[test]
    fn flags_stand_before_or_after_the_action() {
        for line in [["x", "--name", "e2e", "up"], ["x", "up", "--name", "e2e"]] {
            assert_eq!(Cli::try_parse_from(line).unwrap().lab.name, "e2e");
        }
        Cli::try_parse_from(["x", "--net", "8.8.8.0/24", "up"]).unwrap_err();
    }

    #[test]
    fn a_command_for_ssh_keeps_its_own_flags() {
        let cli = Cli::try_parse_from(["x", "ssh", "db1", "--", "ls", "-l", "--name"]).unwrap();
        assert!(matches!(cli.lab.action, Action::Ssh { command, .. } if command == ["ls", "-l", "--name"]));
    }

    #[test]
    fn the_table_shows_what_is_known() {
        let off = HostStatus {
            name: "db1".into(),
            address: None,
            state: HostState::Off,
            memory: 0,
            disk: 1,
        };
        let text = table(&[off]);
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words, ["db1", "-", "off", "-", "1", "MiB"]);
    }
}
