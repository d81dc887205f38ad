//! Ctrl-C: once, nothing new starts and what runs comes to its next safe point; twice, at once.

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
        tracing::warn!("signals cannot be watched: Ctrl-C ends the run at once");
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
            "Stopping: what runs comes to its next safe point. Once more to stop at once.",
        );
        if let Err(error) = said {
            tracing::debug!(%error, "nobody hears that the run is stopping");
        }
    }
    std::future::pending().await
}
