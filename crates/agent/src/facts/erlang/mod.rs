//! Erlang nodes, asked over the Erlang distribution protocol.
//!
//! To the node this is a hidden node of a name that it gives itself, which calls functions through its `rex` server,
//! as C nodes do. It joins no cluster and leaves nothing behind.

mod node;
mod scan;
mod term;

use std::path::Path;
use std::time::{Duration, Instant};

use protocol::FactError;
use protocol::bounds::{Limits, measure};
use protocol::facts::{ErlangFact, ErlangQuery, Term};
use secrets::Secrets;
use zeroize::Zeroizing;

use self::node::{Node, NodeError};
use crate::bounds::Share;
use crate::facts::answer::unknown;
use tree::Place;

/// How long all calls of a query may take. A node ticks every 15 seconds and gives up on a silent peer after 60.
const LIMIT: Duration = Duration::from_secs(30);

pub(super) fn observe(
    secrets: &Secrets,
    query: &ErlangQuery,
    share: &mut Share<'_>,
) -> Result<ErlangFact, FactError> {
    match ask(secrets, query, share) {
        Ok(fact) => Ok(fact),
        Err(NodeError::Silent(silence)) => Ok(ErlangFact::Down(silence)),
        Err(NodeError::Denied(why)) => Ok(ErlangFact::Denied(why)),
        Err(error @ NodeError::Failed(_)) => Err(unknown(format!("{}: {error}", query.node))),
    }
}

fn ask(secrets: &Secrets, query: &ErlangQuery, share: &mut Share<'_>) -> Result<ErlangFact, NodeError> {
    let mut calls = Vec::with_capacity(query.calls.len());
    for call in &query.calls {
        let words = term::call(secrets, call).map_err(NodeError::Failed)?;
        calls.push((words, call.when_ready));
    }
    let until = Instant::now() + LIMIT;
    let address = node::find(&query.node, until)?;
    // The cookie comes second: where no node runs, a missing cookie says nothing.
    let cookie = cookie(&query.cookie_file)?;
    let mut node = Node::connect(&query.node, address, &cookie, until)?;
    let unready = unready(secrets, query, &mut node, share)?;
    let mut results = Vec::with_capacity(calls.len());
    for ((module, function, args), when_ready) in calls {
        if let Some(why) = unready.as_ref().filter(|_| when_ready) {
            results.push(Err(why.clone()));
            continue;
        }
        // What was received is given back at once; what is made of it stays.
        let result = node.call(module, function, args, &mut share.beside())?;
        results.push(result.and_then(|term| kept(term, share)));
    }
    Ok(ErlangFact::Results(results))
}

/// What a call came to, within the limits of an answer.
fn kept(term: erl_dist::term::Term, share: &mut Share<'_>) -> Result<Term, String> {
    let term = term::result(term)?;
    let bytes = measure(&term, Limits::ANSWER).map_err(|exceeded| exceeded.to_string())?;
    share.grow(bytes)?;
    Ok(term)
}

/// The results of calls in what a node sends after the handshake; for the fuzz targets.
pub(super) fn results(mut sent: &[u8], share: &mut Share<'_>) -> Vec<Result<Term, String>> {
    let mut results = Vec::new();
    // It ends with the bytes.
    while let Ok(result) = node::answer(&mut sent, &mut share.beside()) {
        results.push(result.and_then(|term| kept(term, share)));
    }
    results
}

/// Why those calls are not made that need a node that is ready; `None` where it is.
fn unready(
    secrets: &Secrets,
    query: &ErlangQuery,
    node: &mut Node,
    share: &mut Share<'_>,
) -> Result<Option<String>, NodeError> {
    let is_needed = query.calls.iter().any(|call| call.when_ready);
    let Some((call, wanted)) = query.ready.as_ref().filter(|_| is_needed) else {
        return Ok(None);
    };
    let (module, function, args) = term::call(secrets, call).map_err(NodeError::Failed)?;
    let result = node.call(module, function, args, share)?.and_then(term::result);
    Ok(match result {
        Ok(found) if found != *wanted => Some(format!(
            "not asked: {}:{} returns {found:?}",
            call.module, call.function
        )),
        _ => None,
    })
}

/// The cookie stands in the broker's own home: it is read as any file of a service account.
fn cookie(path: &str) -> Result<Zeroizing<String>, NodeError> {
    let place = Place::find(Path::new(path));
    let bytes = place.and_then(
        |place| match place.map(|place| place.file()).transpose()?.flatten() {
            Some(mut open) => open.read().map(Some),
            None => Ok(None),
        },
    );
    match bytes {
        Ok(Some(bytes)) => match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Zeroizing::new(text.trim_end().to_owned())),
            Err(_) => Err(NodeError::Failed(format!("{path} is not text in UTF-8"))),
        },
        Ok(None) => Err(NodeError::Denied(format!("there is no {path}"))),
        Err(error) => Err(NodeError::Failed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_is_a_link_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let (file, link) = (home.path().join("file"), home.path().join("link"));
        std::fs::write(&file, "COOKIE\n").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let read = |path: &Path| cookie(path.to_str().unwrap());
        assert_eq!(read(&file).ok().as_deref().map(String::as_str), Some("COOKIE"));
        assert!(matches!(read(&link), Err(NodeError::Failed(why)) if why.contains("symbolic link")));
        assert!(matches!(
            read(&home.path().join("none")),
            Err(NodeError::Denied(_))
        ));
    }
}
