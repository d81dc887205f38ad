//! Sending requests to a server that speaks HTTP.

use std::time::Duration;

use protocol::facts::{HttpEndpoint, HttpRequest};
use protocol::{ActionError, Change};

use super::act::{Act, done, failed};
use crate::bounds::Time;
use crate::http;
use crate::tail::tail;

/// How many lines of a refusal an error carries.
const LINES: usize = 5;

/// The pause before a request is sent again.
const PAUSE: Duration = Duration::from_millis(500);

/// Sends the requests one after another, and stops at the first that is refused with other words than those of `again_on`.
pub(super) fn send(
    act: &Act<'_>,
    at: &HttpEndpoint,
    requests: &[HttpRequest],
    again_on: &[String],
) -> Result<Change, ActionError> {
    let secrets = act.host.secrets();
    let place = format!("{}:{}", at.address, at.port);
    for request in requests {
        let shown = shown(request);
        let mut refused = String::new();
        loop {
            let was_touched = act.is_touched.get();
            let (time, mut share) = (Time::until(act.until), act.host.memory.share());
            let reply = act.ask_once(&place, &format!("{shown}{refused}"), || {
                http::ask(&secrets, at, request, time, &mut share)
            })?;
            if (200..300).contains(&reply.status) {
                break;
            }
            let said = secrets.redact(&String::from_utf8_lossy(&reply.body));
            let why = format!("{}: {}", reply.status, tail(&said, LINES));
            if !again_on.iter().any(|begin| said.starts_with(begin.as_str())) {
                return Err(failed(format!("{place}: {shown}: {why}")));
            }
            // What was refused has not been done.
            act.is_touched.set(was_touched);
            refused = format!(", which was refused so far: {why}");
            std::thread::sleep(PAUSE);
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
