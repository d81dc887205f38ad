//! The operator's request to stop a run.

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::sync::watch;

/// Whether the operator asked to stop. Once asked, nothing new starts and gates are no longer waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stop {
    /// Not asked.
    #[default]
    No,
    /// Asked: running nodes reach their next safe point.
    Asked,
}

/// The moment at which the operator asks to stop; it never comes where the sender is gone.
pub(crate) type StopRequest = Shared<BoxFuture<'static, ()>>;

/// That moment, for all who wait for it: they hear of it in the order in which they began to wait. Receivers of a watch
/// hear of it in any order, and a run that was interrupted could not be repeated to the instant.
pub(crate) fn request(mut stop: watch::Receiver<Stop>) -> StopRequest {
    let requested = async move {
        if stop.wait_for(|stop| *stop == Stop::Asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    requested.boxed().shared()
}
