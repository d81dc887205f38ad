//! The lab's `mongod`: the stand-in under the real one's name, options, exit codes and signals.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that a person or a service manager starts"
)]

use std::process::ExitCode;

use clap::Parser as _;
use standins::mongod::config::{CommandLine, DEFAULT_VERSION, Options};
use standins::mongod::log::Log;
use standins::mongod::refusal::StartError;
use standins::mongod::server::Server;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            eprintln!(
                "Error parsing command line: {error}\ntry '/usr/bin/mongod --help' for more information"
            );
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    // A test of another release says so in the unit's environment.
    let version = std::env::var("STANDIN_MONGOD_VERSION").unwrap_or(DEFAULT_VERSION.into());
    if line.version {
        println!(
            "db version v{version} (stand-in for clusterctl's lab)\nBuild Info: none: this is not MongoDB"
        );
        return ExitCode::SUCCESS;
    }
    match run(&line, &version) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if error.logged.is_none() {
                eprintln!("{error}");
            }
            ExitCode::from(error.exit)
        }
    }
}

fn run(line: &CommandLine, version: &str) -> Result<(), StartError> {
    let file = match &line.config {
        None => None,
        Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
            StartError::new(
                2,
                format!("Error opening config file '{}': {error}", path.display()),
            )
        })?),
    };
    let options = Options::read(line, file.as_deref(), std::env::args().collect(), version);
    // What is found out so early stands in no log file yet.
    let mut options = options.inspect_err(|error| {
        if let (Some(line), Ok(log)) = (&error.logged, Log::open(None, false)) {
            log.line(line);
        }
    })?;
    if line.output_config {
        println!("{}", standins::mongod::show::yaml(&options.parsed, ""));
        return Ok(());
    }
    if let Ok(times) = std::env::var("STANDIN_MONGOD_TIMES") {
        options.times = times.parse().map_err(|why: String| StartError::new(2, why))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| StartError::new(1, error.to_string()))?;
    runtime.block_on(async {
        let server = Server::start(options).await?;
        let failed = |error: std::io::Error| StartError::new(1, error.to_string());
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut rotate = signal(SignalKind::user_defined1()).map_err(failed)?;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                () = server.node().stop_asked.notified() => break,
                _ = rotate.recv() => server.node().log.reopen(),
            }
        }
        server.stop().await;
        Ok(())
    })
}
