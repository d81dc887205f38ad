//! The agent's program: its standard input and output are the connection to the controller.

use std::error::Error;
use std::fs::File;
use std::os::fd::AsFd;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.as_ref()),
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    agent::harden();
    let mut args = std::env::args_os().skip(1).peekable();
    if args.next_if(|name| name == agent::start::ARGUMENT).is_some() {
        return Err(agent::start::start(args).into());
    }
    let mut options = agent::Options::from_args(args)?;
    // This very program, even where its file was replaced or removed since.
    options.starter = Some("/proc/self/exe".into());
    // Plain files: the standard library's buffers would keep copies of secrets, and look for line ends in frames.
    let input = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let output = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let listener = agent::Listener::new(input, protocol::SILENCE);
    Ok(agent::serve(listener, output, options)?)
}

#[expect(
    clippy::print_stderr,
    reason = "the controller shows the tail of standard error when the connection ends"
)]
fn fail(mut error: &dyn Error) -> ExitCode {
    eprint!("clusterctl-agent: {error}");
    while let Some(source) = error.source() {
        eprint!(": {source}");
        error = source;
    }
    eprintln!();
    ExitCode::FAILURE
}
