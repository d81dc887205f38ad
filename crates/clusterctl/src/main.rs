//! The command line: reads files, reaches hosts, and puts the pure crates to work on what they say.

mod cli;
mod clock;
mod commands;
mod error;
mod exit;
mod files;
mod hook;
mod hosts;
mod interrupt;
mod journal;
mod operator_files;
mod project;
mod saved;
mod secrets;

use std::process::ExitCode;

use clap::Parser;
use report::{ColourChoice, Page, Screen};
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Colour, Command, SecretsCommand};
use crate::error::Error;
use crate::exit::Exit;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    protect_memory();
    let screen = Screen::of_stderr(colour(cli.color));
    start_tracing(cli.verbose, screen.colour);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return print_error(&Error::Output(error), &screen).into(),
    };
    let ended = runtime.block_on(run(&cli));
    // A connection that hangs must not keep the command from ending.
    runtime.shutdown_background();
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => print_error(&error, &screen).into(),
    }
}

async fn run(cli: &Cli) -> Result<Exit, Error> {
    let colours = colour(cli.color);
    match &cli.command {
        Command::Plan(args) => commands::plan::run(args, colours).await,
        Command::Apply(args) => commands::apply::run(args, false, cli.state_dir.as_deref(), colours).await,
        Command::Restart(args) => commands::apply::run(args, true, cli.state_dir.as_deref(), colours).await,
        Command::Status(args) => commands::status::run(args, colours).await,
        Command::History(args) => commands::history::run(args, cli.state_dir.as_deref(), colours),
        Command::Show(args) => commands::show::run(args, cli.state_dir.as_deref(), colours),
        Command::Secrets(SecretsCommand::Init(args)) => commands::secrets::init(args),
    }
}

fn colour(colour: Colour) -> ColourChoice {
    match colour {
        Colour::Auto => ColourChoice::Auto,
        Colour::Always => ColourChoice::Always,
        Colour::Never => ColourChoice::Never,
    }
}

fn print_error(error: &Error, screen: &Screen) -> Exit {
    match report::output::message(error.render(screen)) {
        Ok(()) => error.exit(),
        // The message is lost; the exit code is not.
        Err(_) => Exit::Failure,
    }
}

/// Help and the version are results; clap's other messages are about an invalid command line.
fn usage(error: &clap::Error) -> Exit {
    let is_result = !error.use_stderr();
    // It may repeat words of the command line, which a script may have from anywhere.
    let (text, screen) = (error.render(), Screen::of_stdout(ColourChoice::Auto));
    let page = if is_result && screen.colour {
        Page::styled(&text.ansi().to_string())
    } else {
        text.to_string().into()
    };
    let said = if is_result {
        report::output::result(page)
    } else {
        report::output::message(page)
    };
    match said {
        Ok(()) if is_result => Exit::Success,
        _ => Exit::Usage,
    }
}

/// Secrets are in this process's memory: no core file may write them to disk, and no other process of the same user
/// may read them through /proc or ptrace. A limit of 0 alone does not do: a core pattern that is a pipe ignores it.
fn protect_memory() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Both work for any user; where a sandbox forbids one, the command continues.
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core files cannot be forbidden");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "other processes of this user can read this one's memory");
    }
}

fn start_tracing(verbose: u8, colour: bool) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("CLUSTERCTL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_ansi(colour)
        .with_env_filter(filter)
        .with_writer(move || report::output::Log { colour })
        .init();
}
