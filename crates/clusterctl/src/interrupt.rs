//! Ctrl-C: once, nothing new starts and running steps reach their next safe point; twice, the program ends immediately.

use std::convert::Infallible;
use std::future::Future;

use executor::Stop;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::error::Error;
use crate::exit::Exit;

/// Asks the run to stop at the first SIGINT or SIGTERM and ends the program at the second.
pub(crate) async fn watch(stopper: watch::Sender<Stop>) -> Infallible {
    let (Ok(mut interrupts), Ok(mut terms)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::warn!("signals cannot be watched: Ctrl-C ends the run immediately");
        return std::future::pending().await;
    };
    for count in 1.. {
        tokio::select! {
            _ = interrupts.recv() => {}
            _ = terms.recv() => {}
        }
        if count > 1 {
            std::process::exit(Exit::Interrupted as i32);
        }
        stopper.send_replace(Stop::Asked);
        let said = report::output::message(
            "Stopping: running steps reach their next safe point. Press Ctrl-C again to stop immediately.",
        );
        if let Err(error) = said {
            tracing::debug!(%error, "the message that the run is stopping cannot be written");
        }
    }
    std::future::pending().await
}

/// Does work that changes nothing; an error at the first SIGINT or SIGTERM.
///
/// Before a run the system itself ends the program at a signal. After it, the signals are the program's own: what is not
/// watched is ignored.
pub(crate) async fn unless_interrupted<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let (Ok(mut interrupts), Ok(mut terms)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::warn!("signals cannot be watched");
        return Ok(work.await);
    };
    tokio::select! {
        biased;
        _ = interrupts.recv() => Err(Error::Interrupted),
        _ = terms.recv() => Err(Error::Interrupted),
        done = work => Ok(done),
    }
}
