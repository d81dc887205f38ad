//! Troubles on their way: each waits for its moment, lasts as long as it does, and ends; at the latest with its phase.

use std::time::Duration;

use executor::Stop;
use fakes as world;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::network::Network;
use crate::scenario::{Fault, Moment, Sort};
use crate::site::Site;

/// How often a process that is sick has another chance to live.
const RELAPSE: Duration = Duration::from_millis(400);

/// The controller at work, for those troubles that come to it.
#[derive(Default)]
pub(crate) struct Desk {
    /// Kills what runs.
    pub(crate) kill: Option<oneshot::Sender<()>>,
    /// Interrupts what runs.
    pub(crate) stop: Option<watch::Sender<Stop>>,
    /// Asks for somebody else.
    pub(crate) rival: Option<oneshot::Sender<()>>,
}

/// A trouble at work.
pub(crate) struct AtWork<'a> {
    pub(crate) site: &'a Site,
    pub(crate) network: &'a Network,
    pub(crate) desk: &'a std::sync::Mutex<Desk>,
}

impl AtWork<'_> {
    /// Waits for a trouble's moment and lets it happen. It ends at `end` if not before; what has not begun by then never
    /// does.
    pub(crate) async fn run(&self, trouble: &Fault, began: Instant, mut end: watch::Receiver<bool>) -> bool {
        let over = async {
            // The task that ends it may be gone, and then it is over as well.
            drop(end.wait_for(|is_over| *is_over).await);
        };
        tokio::pin!(over);
        tokio::select! {
            biased;
            () = &mut over => return false,
            () = self.moment(trouble.at, began) => {}
        }
        self.site.note(|| format!("TROUBLE: {}", trouble.sort));
        self.begin(&trouble.sort);
        let until = Instant::now() + trouble.lasts;
        loop {
            let next = match trouble.sort {
                Sort::Sick { .. } => until.min(Instant::now() + RELAPSE),
                _ => until,
            };
            tokio::select! {
                biased;
                () = &mut over => break,
                () = sleep_until(next) => {
                    if next == until {
                        break;
                    }
                    self.relapse(&trouble.sort);
                }
            }
        }
        self.end(&trouble.sort);
        true
    }

    async fn moment(&self, at: Moment, began: Instant) {
        match at {
            Moment::After(time) => sleep_until(began + time).await,
            Moment::Operation(count, time) => {
                if self.site.operation(count).await.is_err() {
                    std::future::pending::<()>().await;
                }
                sleep(time).await;
            }
        }
    }

    fn begin(&self, sort: &Sort) {
        match sort {
            Sort::Kill => {
                if let Some(kill) = self.desk().kill.take() {
                    // What ran may have ended by itself.
                    let _gone = kill.send(());
                }
            }
            Sort::Interrupt => {
                if let Some(stop) = &self.desk().stop {
                    stop.send_replace(Stop::Asked);
                }
            }
            Sort::Rival => {
                if let Some(rival) = self.desk().rival.take() {
                    let _gone = rival.send(());
                }
            }
            Sort::Crash { service, host, .. } => {
                let crash = world::Fault::Crash(host.clone());
                self.site.inject(Some(*service), &crash, Some(host));
            }
            Sort::Sick { .. } => self.relapse(sort),
            Sort::Down(host) => {
                self.site.set_down(host, true);
                self.network.cut(host, true);
            }
            Sort::Cut { host, wholly } => {
                self.site
                    .inject(None, &world::Fault::Cut(host.clone()), Some(host));
                if *wholly {
                    self.network.cut(host, true);
                }
            }
            Sort::Apart(host) => self.network.cut(host, true),
            Sort::Full(host) => self.site.set_full(host, true),
            Sort::Handover { service } => self.site.inject(Some(*service), &world::Fault::Handover, None),
            Sort::Doubt(doubt) => self.site.doubts.begin(doubt),
        }
    }

    /// A process that is sick dies again, if it has come to serve.
    fn relapse(&self, sort: &Sort) {
        if let Sort::Sick { service, host } = sort
            && self.site.is_serving(*service, host)
        {
            let crash = world::Fault::Crash(host.clone());
            self.site.inject(Some(*service), &crash, Some(host));
        }
    }

    fn end(&self, sort: &Sort) {
        match sort {
            Sort::Kill | Sort::Interrupt | Sort::Rival | Sort::Handover { .. } => return,
            Sort::Crash {
                service,
                host,
                is_revived,
            } => {
                if !is_revived {
                    return;
                }
                let revive = world::Fault::Revive(host.clone());
                self.site.inject(Some(*service), &revive, Some(host));
            }
            Sort::Sick { .. } => {}
            Sort::Down(host) => {
                self.site.set_down(host, false);
                self.network.cut(host, false);
            }
            Sort::Cut { host, wholly } => {
                self.site
                    .inject(None, &world::Fault::Heal(host.clone()), Some(host));
                if *wholly {
                    self.network.cut(host, false);
                }
            }
            Sort::Apart(host) => self.network.cut(host, false),
            Sort::Full(host) => self.site.set_full(host, false),
            Sort::Doubt(doubt) => self.site.doubts.end(doubt),
        }
        self.site.note(|| format!("over: {sort}"));
    }

    fn desk(&self) -> std::sync::MutexGuard<'_, Desk> {
        self.desk
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
