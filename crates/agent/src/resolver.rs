//! The host's own resolver. A static binary has none that honours nsswitch.conf(5); `getent` has.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::host::Host;
use crate::process::{ProcessError, Program};

/// How long the resolver may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The addresses of a name in the resolver's order; none where it does not resolve.
pub(crate) fn addresses(name: &str) -> Vec<IpAddr> {
    match name.parse() {
        Ok(address) => vec![address],
        Err(_) => ask(None, &[name])
            .map(|text| blocks(&text).concat())
            .unwrap_or_default(),
    }
}

/// What `getent` says about these names.
pub(crate) fn ask(host: Option<&Host>, names: &[&str]) -> Result<String, ProcessError> {
    let words = ["getent", "ahosts"].iter().chain(names);
    let argv: Vec<String> = words.map(|&word| word.to_owned()).collect();
    let mut program = Program::new(&argv, Instant::now() + LIMIT);
    program.stop = host.map(Host::closing);
    Ok(program.run()?.stdout_text())
}

/// The addresses of each name that resolved. `getent` prints a line for each address and socket type, and the
/// canonical name in the first line of a name's block.
pub(crate) fn blocks(text: &str) -> Vec<Vec<IpAddr>> {
    let mut blocks: Vec<Vec<IpAddr>> = Vec::new();
    for line in text.lines() {
        let mut fields = line.split_whitespace();
        let (address, begins) = (fields.next(), fields.nth(1).is_some());
        if begins || blocks.is_empty() {
            blocks.push(Vec::new());
        }
        // A link-local address carries its interface: `fe80::1%eth0`.
        let address = address.and_then(|text| text.split('%').next()?.parse().ok());
        if let (Some(address), Some(block)) = (address, blocks.last_mut())
            && !block.contains(&address)
        {
            block.push(address);
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_a_block() {
        let text = "10.0.0.1        STREAM db1\n10.0.0.1        DGRAM  \n10.0.0.1        RAW    \n\
                    fd00::1         STREAM \nfd00::1         DGRAM  \n\
                    10.0.0.2        STREAM db2.example.com\n10.0.0.2        DGRAM  \n";
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(
            blocks(text),
            [
                vec![address("10.0.0.1"), address("fd00::1")],
                vec![address("10.0.0.2")]
            ]
        );
        assert!(blocks("").is_empty());
    }
}
