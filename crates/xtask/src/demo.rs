//! `cargo xtask demo`: from nothing to a running, verified cluster, with the programs as they are shipped.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use clap::Args;
use lab::{Lab, LabOptions};

use crate::dist::{self, Kind};
use crate::stage::{self, Stages};
use crate::{cargo, say, standins};

/// Which lab the demo runs on, and how the programs are built.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The lab's name
    #[arg(long, default_value = lab::DEFAULT_NAME)]
    name: String,

    /// Run the programs as they are shipped: the first build takes minutes longer
    #[arg(long)]
    release: bool,
}

/// Does what the arguments say.
pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let root = cargo::workspace()?;
    let mut stages = Stages::new();
    let kind = if args.release {
        Kind::Shipped
    } else {
        Kind::Development
    };
    let dist = stages.run("Build the programs", || dist::build(kind))?;
    let programs = stages.run("Build the stand-ins for what Debian has no package of", || {
        Ok(lab::programs_in(&standins::build()?))
    })?;
    let lab = Lab::open(LabOptions {
        name: args.name.clone(),
        programs: Some(programs),
        progress: Arc::new(say),
        ..LabOptions::default()
    })?;
    stages.run("Bring up five hosts", || Ok(lab.up()?))?;

    let show = |words: &[&str], more: &[&str]| {
        stage::run(&mut clusterctl(
            &root,
            &dist.clusterctl,
            words,
            &lab.overlay(),
            more,
        ))
    };
    stages.run("Create the secrets", || show(&["secrets", "init"], &[]))?;
    stages.run("Build the cluster", || {
        show(&["apply"], &["--ssh-config", "none", "--yes"])
    })?;
    stages.run("Show the health of each service", || {
        show(&["status"], &["--ssh-config", "none"])
    })?;

    say(&stages.summary());
    say(&hints(&lab, &args.name, kind.folder()));
    Ok(())
}

/// The controller as one would type it at the workspace's root.
pub(crate) fn clusterctl(
    root: &Path,
    program: &Path,
    words: &[&str],
    overlay: &Path,
    more: &[&str],
) -> Command {
    let mut command = Command::new(program.strip_prefix(root).unwrap_or(program));
    command
        .args(words)
        .args(["inventory.toml", "--overlay"])
        .arg(overlay)
        .args(more)
        // The lab's hosts know one key; those of the person at the terminal are not offered to them.
        .env_remove("SSH_AUTH_SOCK")
        .current_dir(root)
        .stdin(Stdio::null());
    command
}

fn hints(lab: &Lab, name: &str, programs: &str) -> String {
    let host = lab.hosts().first().map_or("HOST", |host| host.name.as_str());
    let own = if name == lab::DEFAULT_NAME {
        String::new()
    } else {
        format!(" --name {name}")
    };
    format!(
        "\nThe cluster is yours:\n\
         \n  see that no changes remain\
         \n    {programs}/clusterctl plan inventory.toml --overlay {overlay} --ssh-config none\
         \n  log in to a host\
         \n    cargo xtask lab{own} ssh {host}      (or: ssh -F {config} {host})\
         \n  cut a host's power, and see what status and plan say\
         \n    cargo xtask lab{own} kill {host}\
         \n  delete it all\
         \n    cargo xtask lab{own} down --purge",
        overlay = lab.overlay().display(),
        config = lab.ssh_config().display(),
    )
}
