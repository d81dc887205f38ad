//! The stand-in of `ssdb-server`: `ssdb-server [-d] FILE [-s start|stop|restart]`.

use std::error::Error;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use standins::ssdb::config::{Config, ConfigError};
use standins::ssdb::log::Log;
use standins::ssdb::{Server, in_short};

/// Says to the child of `-d` that it is the one.
const CHILD: &str = "--child-of-d";
const USAGE: &str = "[-d] /path/to/ssdb.conf [-s start|stop|restart]\n\
                     Options:\n    -d    run as daemon\n    -s    option to start|stop|restart the server\n    \
                     -h    show this message";

#[derive(Default)]
struct Args {
    is_daemon: bool,
    is_child: bool,
    wants_help: bool,
    file: Option<PathBuf>,
    verb: String,
}

fn main() -> ExitCode {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(
        stderr,
        "ssdb-server 1.9.8\nCopyright (c) 2012-2015 ssdb.io\n(a stand-in of clusterctl's lab)\n"
    );
    drop(stderr);
    let args = args();
    let is_known = matches!(args.verb.as_str(), "" | "start" | "stop" | "restart");
    if !is_known {
        let _ = writeln!(std::io::stderr().lock(), "Error: bad argument: '{}'", args.verb);
    }
    let Some(file) = args.file.as_ref().filter(|_| is_known && !args.wants_help) else {
        let program = std::env::args().next().unwrap_or_default();
        let _ = writeln!(std::io::stdout().lock(), "Usage:\n    {program} {USAGE}");
        return if args.wants_help {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    };
    match run(&args, file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(ConfigError::Line { what, .. }) = error.downcast_ref() {
                let _ = writeln!(std::io::stdout().lock(), "[ERROR] {what}");
            }
            let text = error.to_string();
            if !text.is_empty() {
                let _ = writeln!(std::io::stderr().lock(), "{text}");
            }
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
            "-h" => args.wants_help = true,
            CHILD => args.is_child = true,
            "-s" => args.verb = words.next().unwrap_or_default(),
            file => args.file = Some(file.into()),
        }
    }
    args
}

fn run(args: &Args, file: &Path) -> Result<(), Box<dyn Error>> {
    let config = Config::load(file)?;
    let pid_file = config.pid_file.clone();
    let is_left = || pid_file.as_deref().is_some_and(Path::exists);
    if args.verb == "stop" || args.verb == "restart" && is_left() {
        stop(pid_file.as_deref())?;
        if args.verb == "stop" {
            return Ok(());
        }
    }
    if let Some(path) = pid_file.as_deref().filter(|_| is_left()) {
        return Err(format!(
            "Fatal error!\nPidfile {} already exists!\nKill the running process before you run this command,\n\
             or use '-s restart' option to restart the server.",
            path.display()
        )
        .into());
    }
    let log = Log::open(config.log.as_deref(), config.is_debug).map_err(|error| {
        let name = config.log.as_deref().unwrap_or(Path::new("")).display();
        let why = in_short(&error);
        format!("open log file {name} error - {why}\nerror opening log file: {name}")
    })?;
    if args.is_daemon {
        // The parent says 0 whatever becomes of the child.
        let mut child = Command::new(std::env::current_exe()?);
        child.arg(CHILD).arg(file).process_group(0);
        child
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        return Ok(());
    }
    if let Some(path) = &pid_file {
        // It says so in its log only.
        std::fs::write(path, std::process::id().to_string()).map_err(|_| "")?;
    }
    wait_for_the_end(|| {
        let server = Server::bind(config, log)?;
        std::thread::spawn(move || server.run());
        Ok(())
    })?;
    if let Some(path) = pid_file {
        // It may be gone already.
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

/// Ends with a signal, which counts from before the start.
fn wait_for_the_end(start: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut term = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        start()?;
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

/// Ends the process of a pid file, and waits until it has removed it.
fn stop(pid_file: Option<&Path>) -> Result<(), String> {
    let path = pid_file.unwrap_or(Path::new(""));
    let pid = std::fs::read_to_string(path)
        .map_err(|error| format!("could not read pidfile: {}({})", path.display(), in_short(&error)))?;
    let mut kill = Command::new("kill");
    let ended = kill.arg(pid.trim()).stderr(Stdio::null()).status();
    if ended.is_ok_and(|status| status.success()) {
        while path.exists() {
            std::thread::sleep(Duration::from_millis(100));
        }
    } else {
        let _ = writeln!(std::io::stderr().lock(), "process: {} not running", pid.trim());
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}
