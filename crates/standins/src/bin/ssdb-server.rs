//! The stand-in of `ssdb-server`: `ssdb-server [-d] FILE [-s start|stop|restart]`.

use std::error::Error;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use standins::ssdb::Server;
use standins::ssdb::config::Config;

/// Says to the child of `-d` that it is the one.
const CHILD: &str = "--child-of-d";

#[derive(Default)]
struct Args {
    is_daemon: bool,
    is_child: bool,
    file: PathBuf,
    verb: String,
}

fn main() -> ExitCode {
    match run(&args()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn args() -> Args {
    let mut args = Args::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-d" => args.is_daemon = true,
            CHILD => (args.is_daemon, args.is_child) = (true, true),
            "-s" => args.verb = words.next().unwrap_or_default(),
            file => args.file = file.into(),
        }
    }
    args
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let config = Config::load(&args.file)?;
    let pid_file = config.pid_file.clone();
    if matches!(args.verb.as_str(), "stop" | "restart") {
        stop(pid_file.as_deref());
        if args.verb == "stop" {
            return Ok(());
        }
    }
    if args.is_daemon && !args.is_child {
        if let Some(path) = pid_file.filter(|path| path.exists()) {
            return Err(format!("Fatal error!\nPidfile {} already exists!", path.display()).into());
        }
        // The parent says 0 whatever becomes of the child.
        let mut child = Command::new(std::env::current_exe()?);
        child.arg(CHILD).arg(&args.file).process_group(0);
        child
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        return Ok(());
    }
    let server = Server::bind(config)?;
    if let Some(path) = &pid_file {
        std::fs::write(path, std::process::id().to_string())?;
    }
    std::thread::spawn(move || server.run());
    wait_for_the_end()?;
    if let Some(path) = pid_file.filter(|_| args.is_daemon) {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

fn wait_for_the_end() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut term = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

/// Ends the process of a pid file, and waits until it has removed it.
fn stop(pid_file: Option<&Path>) {
    let Some(path) = pid_file else { return };
    let Ok(pid) = std::fs::read_to_string(path) else {
        return;
    };
    let ended = Command::new("kill")
        .arg(pid.trim())
        .stderr(Stdio::null())
        .status();
    if ended.is_ok_and(|status| status.success()) {
        while path.exists() {
            std::thread::sleep(Duration::from_millis(100));
        }
    } else {
        let _ = std::fs::remove_file(path);
    }
}
