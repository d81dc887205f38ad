//! Changing the host: one module an operation.
//!
//! Every action first asks again what it relies on, and is not begun where that no longer holds. Between two commands of
//! a sequence it checks whether the connection still lives: a run that was cut off stops there, at a point that the next
//! plan sees.

mod act;
mod backup;
mod directives;
mod directory;
mod http;
mod mongo;
mod packages;
mod precondition;
mod resp;
mod restore;
mod run;
mod ssdb;
mod unit;
mod unit_files;
mod write;

use std::cell::Cell;
use std::time::Duration;

use protocol::{Action, ActionError, ActionRequest, Change, Operation, Response};

use self::act::{Act, failed};
use crate::accounts::access;
use crate::bounds::Time;
use crate::host::Host;
use crate::redact::redact;

/// Makes a change of the run that holds the lock, unless the record says that it was made or begun before.
pub(crate) fn act_once(host: &Host, request: &ActionRequest) -> Response {
    let Some(record) = host.record() else {
        return Response::Failed(
            "this connection does not hold the run lock, and changes nothing without it".to_owned(),
        );
    };
    if let Some(known) = record.answer(request) {
        return Response::Acted(known);
    }
    let action = &request.action;
    let act = Act {
        host,
        record: &record,
        limit_ms: action.limit_ms,
        until: Time::within(Duration::from_millis(action.limit_ms)).until,
        is_touched: Cell::new(false),
    };
    // What stops here was not begun, and is not recorded.
    let ready = precondition::check(host, &action.only_if).and_then(|()| act.safe_point("the change"));
    if let Err(error) = ready {
        return Response::Acted(Err(error));
    }
    if let Err(error) = record.begin(&request.id) {
        return Response::Acted(Err(failed(format!("{error}; nothing was done"))));
    }
    // As it is answered, so that no secret is recorded either.
    let mut response = Response::Acted(operate(&act, action));
    redact(&mut response, &host.secrets());
    response.cut_messages();
    let recorded = match &response {
        Response::Acted(Err(ActionError::CutOff { .. })) if !act.is_touched.get() => {
            record.forget(&request.id)
        }
        Response::Acted(result) => record.end(&request.id, result),
        _ => Ok(()),
    };
    // What is not recorded as ended counts as begun: it is not repeated either.
    let _recorded = recorded.is_ok();
    response
}

fn operate(act: &Act<'_>, action: &Action) -> Result<Change, ActionError> {
    let host = act.host;
    match &action.operation {
        Operation::WriteFile {
            path,
            text,
            mode,
            owner,
            group,
            was,
            trial,
        } => Ok(write::write(
            act,
            path,
            text,
            access(*mode, owner, group)?,
            was,
            trial.as_ref(),
        )?),
        Operation::RestoreFile { path, backup, was } => restore::restore(host, path, backup.as_deref(), was),
        Operation::MakeDirectory {
            path,
            mode,
            owner,
            group,
            was,
        } => directory::make(path, access(*mode, owner, group)?, was),
        Operation::Unit { name, verbs, reads } => unit::tell(act, name, verbs, reads),
        Operation::InstallPackages { names } => packages::install(act, names),
        Operation::Run { commands } => run::run(act, commands),
        Operation::Resp {
            address,
            port,
            password,
            commands,
        } => resp::send(act, address, *port, password.as_ref(), commands),
        Operation::FollowMaster {
            address,
            port,
            password,
            word,
            sentinel,
            old,
            commands,
        } => {
            let whom = (word.as_str(), sentinel, old.as_str());
            resp::follow(act, (address, *port), password.as_ref(), whom, commands)
        }
        Operation::Ssdb {
            address,
            port,
            password,
            commands,
            until,
        } => ssdb::send(act, (address, *port), password.as_ref(), commands, until.as_ref()),
        Operation::Mongo {
            address,
            port,
            user,
            commands,
            again_on,
        } => mongo::send(act, (address, *port), user.as_ref(), commands, again_on),
        Operation::Http {
            at,
            requests,
            again_on,
        } => http::send(act, at, requests, again_on),
        Operation::SetAccess {
            path,
            mode,
            owner,
            group,
            was,
        } => Ok(write::set_access(host, path, access(*mode, owner, group)?, was)?),
        Operation::SetDirectives { path, directives } => Ok(directives::set(host, path, directives)?),
        Operation::UnitFiles {
            name,
            first,
            files,
            verbs,
            reads,
        } => unit_files::change(act, name, first, files, (verbs, reads)),
    }
}
