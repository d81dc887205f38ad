//! Sending commands to a MongoDB server.

use std::time::Duration;

use protocol::facts::{MongoCommand, MongoUser};
use protocol::{ActionError, Change};

use super::act::{Act, done, failed};
use crate::bounds::Time;
use crate::mongo::{ClientError, Connection, fields};

/// The pause before a command is sent again.
const PAUSE: Duration = Duration::from_millis(500);

/// Sends the commands one after another, and stops at the first error that is not one of `again_on`.
pub(super) fn send(
    act: &Act<'_>,
    (address, port): (&str, u16),
    user: Option<&MongoUser>,
    commands: &[MongoCommand],
    again_on: &[i32],
) -> Result<Change, ActionError> {
    let at = |why: &dyn std::fmt::Display| failed(format!("{address}:{port}: {why}"));
    let secrets = act.host.secrets();
    let mut connection =
        Connection::open(address, port, Time::until(act.until)).map_err(|error| at(&error))?;
    if let Some(user) = user {
        let mut share = act.host.memory.share();
        connection
            .log_in(&secrets, user, &mut share)
            .map_err(|error| at(&error))?;
    }
    for command in commands {
        let name = command.name();
        let mut refused = String::new();
        loop {
            let was_touched = act.is_touched.get();
            act.begin_once(&format!("{name}{refused}"))?;
            let mut share = act.host.memory.share();
            let said = fields(&secrets, &command.fields)
                .and_then(|document| connection.ask(&command.db, document, &mut share));
            match said {
                Ok(Ok(_)) => break,
                Ok(Err(error)) if again_on.contains(&error.code) => {
                    // What was refused has not been done.
                    act.is_touched.set(was_touched);
                    refused = format!(", which was refused so far: {error}");
                    std::thread::sleep(PAUSE);
                }
                Ok(Err(error)) => return Err(at(&format!("{name}: {error}"))),
                // The connection's limit is the action's: where no answer came, the time is over as well.
                Err(error @ ClientError::Silent(_)) => {
                    act.safe_point(name)?;
                    return Err(at(&format!("{name}: {error}")));
                }
                Err(error) => return Err(at(&format!("{name}: {error}"))),
            }
        }
    }
    let names: Vec<&str> = commands.iter().map(MongoCommand::name).collect();
    Ok(done(format!("{address}:{port}: {}", names.join("; "))))
}
