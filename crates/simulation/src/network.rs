//! The way from a controller to the hosts' agents: it takes its time, and it can be cut.

use std::sync::Arc;

use protocol::{Request, Response};
use tokio::time::sleep;
use transport::fake::{Fake, FakeHost};
use transport::{AgentStream, BoxFuture, ConnectError, Transport};
use types::HostName;

use crate::agent::Agent;
use crate::site::Site;

/// The network.
#[derive(Clone)]
pub(crate) struct Network {
    site: Arc<Site>,
    fake: Fake,
}

/// Where an agent starts for each connection.
struct Doors(Arc<Site>);

impl Network {
    pub(crate) fn new(site: Arc<Site>) -> Self {
        let fake = Fake::new(Arc::new(Doors(Arc::clone(&site))));
        Self { site, fake }
    }

    /// Cuts the controller off from a host, once more or once less; what cut it off before still does.
    pub(crate) fn cut(&self, host: &HostName, is_cut: bool) {
        let is_off = self.site.count_cut(host, is_cut);
        self.fake.set_down(host, is_off);
    }
}

impl Transport for Network {
    fn open<'a>(&'a self, host: &'a HostName) -> BoxFuture<'a, Result<AgentStream, ConnectError>> {
        Box::pin(async move {
            sleep(self.site.latency()).await;
            self.fake.open(host).await
        })
    }
}

impl FakeHost for Doors {
    fn answer(&self, _host: HostName, _request: Request) -> BoxFuture<'static, Option<Response>> {
        // Every connection has its agent, which answers.
        Box::pin(async { None })
    }

    fn connect(&self, host: &HostName) -> Option<Arc<dyn FakeHost>> {
        Some(Arc::new(Agent::new(Arc::clone(&self.0), host.clone())))
    }
}
