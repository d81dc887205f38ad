//! The stand-in of upstream's `tools/ssdb-cli`: `echo info | ssdb-cli -h HOST -p PORT -a PASSWORD`.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let (mut host, mut port, mut password) = ("127.0.0.1".to_owned(), 8888, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-h" => host = words.next().unwrap_or_default(),
            "-p" => port = words.next().and_then(|text| text.parse().ok()).unwrap_or(port),
            "-a" => password = words.next(),
            _ => {}
        }
    }
    let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
    match standins::ssdb::cli::run(&host, port, password.as_deref(), input, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "{error}");
            ExitCode::FAILURE
        }
    }
}
