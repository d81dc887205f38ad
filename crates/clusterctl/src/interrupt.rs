//! Ctrl-C: once, nothing new starts and running steps reach their next safe point; twice, the program ends immediately.

use std::convert::Infallible;

use executor::Stop;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

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
