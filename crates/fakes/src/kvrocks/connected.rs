//! What a client that keeps its connection writes.

use super::Cluster;

impl Cluster {
    /// The client writes a value, unless an earlier one still waits.
    pub fn write_connected(&mut self, value: u64) {
        if self.client.waits.is_some() {
            return;
        }
        let connected = self.client.connected.filter(|at| self.server(*at).is_some());
        let connected = connected.or_else(|| self.named_masters().first().copied());
        let connected = connected.filter(|at| self.server(*at).is_some());
        self.client.connected = connected;
        self.client.waits = connected.map(|_| value);
        self.tick();
        self.settle();
    }

    /// A write that waits is done or refused where nothing holds it back any more.
    pub(super) fn release(&mut self) -> bool {
        let Some((at, value)) = self.client.connected.zip(self.client.waits) else {
            return false;
        };
        let takes = self.server(at).filter(|server| server.follows.is_none());
        let takes = takes.map(|server| server.paused_us <= self.now);
        match takes {
            Some(false) => return false,
            Some(true) => {
                self.nodes[at].data.insert(value);
                self.nodes[at].offset += 1;
                self.client.acknowledged.insert(value);
            }
            None => self.client.connected = None,
        }
        self.client.waits = None;
        true
    }
}
