//! Actions that the operator may consent to, each for a host.

/// Stop a formed cluster for a new cookie.
pub(crate) const COOKIE: &str = "rabbitmq.cookie";
/// Lose the data of a node that joins.
pub(crate) const RESET: &str = "rabbitmq.reset";
/// Stop a member although queues stop with it.
pub(crate) const RESTART: &str = "rabbitmq.restart";
/// Lose the queues that only a departing member has, while it runs.
pub(crate) const LEAVE: &str = "rabbitmq.leave";
/// Forget a member of which nothing is known, or that has queues that nobody else has.
pub(crate) const FORGET: &str = "rabbitmq.forget";
