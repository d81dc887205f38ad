//! Sending requests to a server that speaks HTTP.

use protocol::facts::{HttpEndpoint, HttpRequest};
use protocol::{ActionError, Change};

use super::act::{Act, done, failed};
use crate::bounds::Time;
use crate::error_text::tail;
use crate::http;

/// How many lines of a refusal an error carries.
const LINES: usize = 5;

/// Sends the requests one after another, and stops at the first that is refused.
pub(super) fn send(
    act: &Act<'_>,
    at: &HttpEndpoint,
    requests: &[HttpRequest],
) -> Result<Change, ActionError> {
    let secrets = act.host.secrets();
    let place = format!("{}:{}", at.address, at.port);
    for request in requests {
        let shown = shown(request);
        let (time, mut share) = (Time::until(act.until), act.host.memory.share());
        let reply = act.ask_once(&place, &shown, || {
            http::ask(&secrets, at, request, time, &mut share)
        })?;
        if !(200..300).contains(&reply.status) {
            let said = secrets.redact(&String::from_utf8_lossy(&reply.body));
            let (status, said) = (reply.status, tail(&said, LINES));
            return Err(failed(format!("{place}: {shown}: {status}: {said}")));
        }
    }
    let all: Vec<String> = requests.iter().map(shown).collect();
    Ok(done(format!("{place}: {}", all.join("; "))))
}

/// The request as a line; secrets are references in it.
fn shown(request: &HttpRequest) -> String {
    let body = request.body.as_str();
    if body.is_empty() {
        format!("{} {}", request.method.as_str(), request.path)
    } else {
        body.to_owned()
    }
}
