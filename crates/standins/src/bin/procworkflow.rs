//! The lab's `procworkflow`: the stand-in under the real one's name and paths.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that a person or a service manager starts"
)]

use std::path::Path;
use std::process::ExitCode;

use standins::altcraft::process::{Which, run};

fn main() -> ExitCode {
    if std::env::args().any(|word| word == "--version") {
        println!("procworkflow (stand-in for clusterctl's lab)");
        return ExitCode::SUCCESS;
    }
    match run(Which::Workflow, Path::new("/opt/akd")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
