//! hosts(5), with a marked block that clusterctl manages.
//!
//! Lines outside of the block are the operator's: a name that they give rightly is left to them, and one that they give
//! wrongly is refused, for the first line wins.

use std::net::IpAddr;

use types::HostName;

use super::edit::{CannotEdit, Edited};

/// The file.
pub(crate) const PATH: &str = "/etc/hosts";
const BEGIN: &str = "# BEGIN clusterctl";
const END: &str = "# END clusterctl";

/// The file with its block as it should be on a host.
pub(crate) fn with_block(host: &HostName, text: &str, hosts: &[(IpAddr, Vec<String>)]) -> Edited {
    let (before, block, after) = split(text)?;
    let outside: Vec<(IpAddr, &str)> = entries(before).chain(entries(after)).collect();
    let lines = lines(host, hosts, &outside)?;
    let found: Vec<&str> = block.unwrap_or_default().lines().collect();
    if found == lines {
        return Ok(None);
    }
    let missing = lines.iter().filter(|line| !found.contains(&line.as_str()));
    let names: Vec<&str> = missing.filter_map(|line| line.split(' ').nth(1)).collect();
    let reason = if names.is_empty() {
        "its block names hosts that it should not".to_owned()
    } else {
        format!("it does not name {}", names.join(", "))
    };
    Ok(Some((join(before, &lines, after), reason)))
}

/// The lines of the block: the names that no line outside gives.
fn lines(
    host: &HostName,
    hosts: &[(IpAddr, Vec<String>)],
    outside: &[(IpAddr, &str)],
) -> Result<Vec<String>, CannotEdit> {
    let mut lines = Vec::new();
    for (address, names) in hosts {
        let mut ours = Vec::new();
        for name in names {
            let given = outside.iter().filter(|(_, given)| given == name);
            let given: Vec<IpAddr> = given.map(|(to, _)| *to).collect();
            let is_own = |to: &IpAddr| to.is_loopback() && (name == host.as_str() || name == host.short());
            let is_wrong = |to: &&IpAddr| *to != address && to.is_ipv4() == address.is_ipv4() && !is_own(to);
            if let Some(wrong) = given.iter().find(is_wrong) {
                let why =
                    format!("a line of it gives {name} the address {wrong}, and the inventory {address}");
                return Err(CannotEdit::new(
                    why,
                    "the first line wins, so correct or remove that one",
                ));
            }
            if !given.contains(address) {
                ours.push(name.as_str());
            }
        }
        if !ours.is_empty() {
            lines.push(format!("{address} {}", ours.join(" ")));
        }
    }
    Ok(lines)
}

fn join(before: &str, lines: &[String], after: &str) -> String {
    if lines.is_empty() {
        return format!("{before}{after}");
    }
    let ended = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    format!("{before}{ended}{BEGIN}\n{}\n{END}\n{after}", lines.join("\n"))
}

/// The text before the block, in it, and after it; without a block all of it is before.
fn split(text: &str) -> Result<(&str, Option<&str>, &str), CannotEdit> {
    let (mut begin, mut end, mut at) = (None, None, 0);
    for line in text.split_inclusive('\n') {
        let next = at + line.len();
        let marker = match line.trim_end() {
            BEGIN => Some(&mut begin),
            END => Some(&mut end),
            _ => None,
        };
        if let Some(marker) = marker
            && marker.replace(at..next).is_some()
        {
            return Err(CannotEdit::new(
                "it has more than one block of clusterctl",
                "leave one of them",
            ));
        }
        at = next;
    }
    match (begin, end) {
        (None, None) => Ok((text, None, "")),
        (Some(begin), Some(end)) if begin.end <= end.start => Ok((
            &text[..begin.start],
            Some(&text[begin.end..end.start]),
            &text[end.end..],
        )),
        _ => {
            let why = format!("its block has not one line {BEGIN:?} and below it one line {END:?}");
            Err(CannotEdit::new(
                why,
                "remove what is left of the block; it is written again",
            ))
        }
    }
}

/// The names that lines of hosts(5) give, each with its address.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = (IpAddr, &str)> {
    text.lines().flat_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let address: Option<IpAddr> = words.next().and_then(|address| address.parse().ok());
        address
            .into_iter()
            .flat_map(move |address| words.clone().map(move |name| (address, name)))
    })
}
