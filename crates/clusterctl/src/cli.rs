//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use plan::Consent;
use types::{HostName, ServiceName};

/// Turns one inventory into a running, verified cluster, and keeps it so.
#[derive(Debug, Parser)]
#[command(name = "clusterctl", version, propagate_version = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,

    /// When to use colours.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) color: Colour,

    /// Where the journal of runs is kept.
    #[arg(
        long,
        global = true,
        env = "CLUSTERCTL_STATE_DIR",
        hide_env_values = true,
        value_name = "DIR"
    )]
    pub(crate) state_dir: Option<PathBuf>,

    /// Increase log verbosity (-v, -vv), on standard error.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what would change, with diffs. Changes nothing.
    Plan(PlanArgs),
    /// Show the plan, ask for approval, and execute it.
    #[command(mut_arg("inventory", |arg| arg.help("The inventory, or a saved plan of `plan --out`: it is executed exactly, or refused")))]
    Apply(ApplyArgs),
    /// Restart the members of services one after another. Pending changes are applied too.
    #[command(mut_arg("service", |service| service.required(true)))]
    Restart(ApplyArgs),
    /// Show the health of each service.
    Status(StatusArgs),
    /// List past runs, newest first.
    History(HistoryArgs),
    /// Show one run.
    Show(ShowArgs),
    /// Work with the secrets that an inventory names.
    #[command(subcommand)]
    Secrets(SecretsCommand),
}

/// The files of a project.
#[derive(Debug, Clone, Args)]
pub(crate) struct SourceArgs {
    /// The inventory.
    #[arg(default_value = "inventory.toml")]
    pub(crate) inventory: PathBuf,

    /// Merge another file over the inventory (repeatable; later files win).
    #[arg(long, value_name = "FILE")]
    pub(crate) overlay: Vec<PathBuf>,

    /// Run this playbook instead of the services' own.
    #[arg(long, value_name = "FILE")]
    pub(crate) playbook: Option<PathBuf>,

    /// The folder of playbooks that replace built-in ones [default: playbooks/ beside the inventory].
    #[arg(long, value_name = "DIR")]
    pub(crate) playbooks: Option<PathBuf>,
}

/// Which part of the project is observed, and how hosts are reached.
#[derive(Debug, Clone, Args)]
pub(crate) struct TargetArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,

    /// Only these services (repeatable).
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Vec<ServiceName>,

    /// Change these hosts only (repeatable). All members of a cluster are observed.
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<HostName>,

    #[command(flatten)]
    pub(crate) ssh: SshArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct SshArgs {
    /// The OpenSSH configuration file, instead of the user's and the system's; `none` reads none.
    #[arg(long, value_name = "FILE")]
    pub(crate) ssh_config: Option<PathBuf>,

    /// Record the keys of unknown hosts. Changed host keys are always rejected.
    #[arg(long)]
    pub(crate) accept_new_host_keys: bool,

    /// The agent's binary [default: clusterctl-agent beside this program].
    #[arg(long, env = "CLUSTERCTL_AGENT", hide_env_values = true, value_name = "FILE")]
    pub(crate) agent: Option<PathBuf>,
}

/// What may be planned.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConsentArgs {
    /// Consent to a destructive action on one host, as a refusal of the plan names it (repeatable).
    #[arg(long, value_name = "ACTION=HOST", value_parser = consent)]
    pub(crate) allow: Vec<Consent>,

    /// How many members of a service may be unavailable at once [default: 1]. More than its quorum tolerates takes consent
    /// for every member.
    #[arg(long, value_name = "N")]
    pub(crate) max_unavailable: Option<NonZeroUsize>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    #[command(flatten)]
    pub(crate) consent: ConsentArgs,

    /// Show what `restart` would do.
    #[arg(long, requires = "service")]
    pub(crate) restart: bool,

    /// Save the plan to this file, for `clusterctl apply FILE` to execute exactly it later. It has no secrets. Only an older
    /// plan is overwritten.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Exit with 0 for no changes, 2 for changes, 1 for errors.
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    #[command(flatten)]
    pub(crate) consent: ConsentArgs,

    /// Apply without asking.
    #[arg(short, long)]
    pub(crate) yes: bool,

    /// Start nothing new after the first failure.
    #[arg(long)]
    pub(crate) fail_fast: bool,

    /// The pause between two members of a service, after the first is healthy again, e.g. `30s`, `2min`.
    #[arg(long, value_name = "TIME", value_parser = pause, default_value = "0s")]
    pub(crate) pause_between: Duration,

    /// How long to wait for hosts that another run has locked. Facts are gathered again afterwards. A saved plan does not
    /// wait.
    #[arg(long, value_name = "TIME", value_parser = pause, default_value = "0s")]
    pub(crate) lock_timeout: Duration,

    /// How many hosts are changed at once.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) parallel: usize,

    /// Print events as JSON lines instead of progress.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct HistoryArgs {
    /// How many runs to list.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ShowArgs {
    /// The run's id, or a unique prefix of it.
    pub(crate) run: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// Create the missing secret files: 48 random characters each, readable by their owner only. No value is shown, and no
    /// existing file is changed.
    Init(SourceArgs),
}

fn consent(text: &str) -> Result<Consent, String> {
    let (action, host) = text
        .split_once('=')
        .ok_or("expected ACTION=HOST, e.g. rabbitmq.reset=db2")?;
    let host = host
        .parse()
        .map_err(|error: types::NameError| error.to_string())?;
    Ok(Consent {
        action: action.to_owned(),
        host,
    })
}

/// The longest time that an option takes. No maintenance lasts longer, and no clock overflows.
const LONGEST: Duration = Duration::from_hours(7 * 24);

fn pause(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "expected a time such as 30s, 2min or 1h30m, of at most 168h".to_owned())?;
    let span = Duration::try_from(span).map_err(|_| "expected a time of at least 0s".to_owned())?;
    if span > LONGEST {
        return Err("expected a time of at most 168h (7 days)".to_owned());
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// The help of a command and of all below it, as docs/reference/command-line.md has it.
    fn reference(command: &mut clap::Command, page: &mut String) {
        use std::fmt::Write as _;
        let name = command.get_bin_name().unwrap_or("clusterctl").to_owned();
        let help = command.clone().term_width(100).render_long_help().to_string();
        let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
        writeln!(page, "\n## {name}\n\n```text\n{}\n```", lines.join("\n")).unwrap();
        for below in command
            .get_subcommands_mut()
            .filter(|below| below.get_name() != "help")
        {
            reference(below, page);
        }
    }

    #[test]
    fn the_reference_says_what_the_help_says() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/reference/command-line.md"
        );
        let mut command = Cli::command();
        command.build();
        let mut page = "# Command line\n\nWhat `--help` says.\n".to_owned();
        reference(&mut command, &mut page);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap();
        assert!(
            found == page,
            "UPDATE_DOCS=1 cargo test -p clusterctl reference rewrites {path}"
        );
    }

    #[test]
    fn a_consent_names_an_action_and_a_host() {
        let cli = Cli::try_parse_from(["clusterctl", "plan", "--allow", "rabbitmq.reset=db2"]).unwrap();
        let Command::Plan(args) = cli.command else {
            panic!("not a plan")
        };
        assert_eq!(args.consent.allow[0].to_string(), "rabbitmq.reset=db2");
        assert!(Cli::try_parse_from(["clusterctl", "plan", "--allow", "rabbitmq.reset"]).is_err());
    }

    #[test]
    fn a_restart_names_its_services() {
        assert!(Cli::try_parse_from(["clusterctl", "restart", "inventory.toml"]).is_err());
        assert!(Cli::try_parse_from(["clusterctl", "plan", "--restart"]).is_err());
        let cli = Cli::try_parse_from([
            "clusterctl",
            "restart",
            "inventory.toml",
            "--service",
            "mq",
            "--pause-between",
            "1min 30s",
        ]);
        let Command::Restart(args) = cli.unwrap().command else {
            panic!("not a restart")
        };
        assert_eq!(args.pause_between, Duration::from_secs(90));
        for bad in ["30", "-5s", "soon"] {
            assert!(pause(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_that_no_clock_can_hold_is_an_error_that_names_the_limit() {
        assert_eq!(pause("168h"), Ok(LONGEST));
        for option in ["--lock-timeout", "--pause-between"] {
            for huge in ["169h", "9000000000000000000s"] {
                let error = Cli::try_parse_from(["clusterctl", "apply", option, huge]).unwrap_err();
                assert!(error.to_string().contains("168h"), "{option} {huge}: {error}");
            }
        }
    }
}
