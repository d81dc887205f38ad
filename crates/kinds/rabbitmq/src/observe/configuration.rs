//! How a running broker was configured: where its plugins are, whose schemas say which keys there are, and its files.

use plan::Facts;
use protocol::facts::{ErlangFact, ErlangQuery, Term};
use types::HostName;

use super::calls::{ask, call, plain};
use super::terms::texts;
use crate::settings::Settings;

/// What a running broker tells.
pub(crate) struct Configuration {
    /// The directories of its plugins, separated by colons.
    pub(crate) plugins: String,
    /// The files that it read when it started, rabbitmq.conf among them, in their order.
    pub(crate) files: Vec<String>,
}

/// Asks a broker for it.
pub(crate) fn configuration(settings: &Settings, host: &HostName) -> ErlangQuery {
    let plugins = ["rabbit", "plugins_dir"].map(Term::atom);
    let calls = vec![
        call("application", "get_env", plugins),
        plain(("rabbit_prelaunch_conf", "get_config_state")),
    ];
    ask(settings, host, calls)
}

impl Configuration {
    /// `{ok,"/usr/lib/rabbitmq/..."}` and `#{config_files => ["/etc/rabbitmq/rabbitmq.conf"], ...}`; `None` where the broker
    /// does not run, or does not tell.
    pub(crate) fn of(settings: &Settings, host: &HostName, facts: &Facts) -> Option<Self> {
        let Ok(ErlangFact::Results(results)) = facts.get(host, &configuration(settings, host)) else {
            return None;
        };
        let [Ok(Term::Tuple(plugins)), Ok(state)] = results.as_slice() else {
            return None;
        };
        let [_, Term::Str(plugins)] = plugins.as_slice() else {
            return None;
        };
        Some(Self {
            plugins: plugins.clone(),
            files: texts(state.get("config_files")),
        })
    }
}
