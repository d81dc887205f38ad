//! One seed, from bare hosts to the last empty plan.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use executor::Stop;
use fakes::Fault;
use futures::future::join_all;
use plan::RunningUnits;
use planner::Options;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout};
use types::HostName;

use crate::apply::{End, Operator, observe};
use crate::chance::Chance;
use crate::network::Network;
use crate::panics::caught;
use crate::project::{self, Read};
use crate::scenario::{Phase, Scenario, Wish};
use crate::site::Site;
use crate::troubles::{AtWork, Desk};

/// How often an operator applies while troubles last.
const STUBBORN: u64 = 4;

/// How many applies must do once troubles are over.
const ENOUGH: u64 = 8;

/// In which of them a person steps in, where a refusal asks for one.
const PATIENCE: u64 = 2;

/// How long everything has to come to rest after that: what heals by itself needs no plan, but it needs time.
const REST: Duration = Duration::from_mins(3);

/// A phase that takes longer than this, in simulated time, hangs.
const ENDLESS: Duration = Duration::from_hours(24);

/// How a seed is played.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// Whether all that happens is written down.
    pub is_logged: bool,
    /// Whether plans have no budgets. It is how the simulation proves that it would see what budgets prevent.
    pub is_reckless: bool,
}

/// What came of a seed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Played {
    /// What must not be, and was.
    pub failures: Vec<String>,
    /// What happened, line by line.
    pub log: Vec<String>,
    /// What happened, in figures.
    pub tally: Tally,
}

/// Figures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Applies that were begun.
    pub applies: u64,
    /// Operations on hosts.
    pub operations: u64,
    /// Troubles that came, by sort.
    pub troubles: BTreeMap<&'static str, u64>,
    /// Values that a client was told are safe.
    pub writes: u64,
    /// The simulated time.
    pub time: Duration,
}

impl Tally {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.applies += other.applies;
        self.operations += other.operations;
        self.writes += other.writes;
        self.time += other.time;
        for (sort, count) in &other.troubles {
            *self.troubles.entry(sort).or_default() += count;
        }
    }
}

/// Plays a scenario. The same scenario comes to the same, to the instant.
pub fn play(scenario: &Scenario, settings: Settings) -> Played {
    let (played, panics) = caught(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| format!("no runtime: {error}"))?;
        runtime.block_on(async {
            let mut stage = Stage::new(scenario, settings);
            stage.play().await;
            Ok::<Played, String>(stage.played())
        })
    });
    let mut played = match played {
        Some(Ok(played)) => played,
        Some(Err(error)) => Played {
            failures: vec![error],
            ..Played::default()
        },
        None => Played::default(),
    };
    played
        .failures
        .extend(panics.into_iter().map(|panic| format!("panic: {panic}")));
    played
}

struct Stage<'a> {
    scenario: &'a Scenario,
    operator: Operator,
    chance: Chance,
    /// The hosts of the services, by the inventory in force.
    members: Vec<&'static str>,
    turn: u32,
    desk: Mutex<Desk>,
    tally: Tally,
}

impl<'a> Stage<'a> {
    fn new(scenario: &'a Scenario, settings: Settings) -> Self {
        let site = Arc::new(Site::new(scenario, settings.is_logged));
        let operator = Operator {
            network: Network::new(Arc::clone(&site)),
            tap: None,
            site,
            is_reckless: settings.is_reckless,
        };
        Self {
            scenario,
            operator,
            chance: Chance::new(scenario.seed, 2),
            members: scenario.hosts()[..scenario.members].to_vec(),
            turn: 0,
            desk: Mutex::default(),
            tally: Tally::default(),
        }
    }

    fn site(&self) -> &Site {
        &self.operator.site
    }

    fn played(mut self) -> Played {
        let remains = self.operator.site.remains();
        self.tally.time = self.operator.site.now();
        self.tally.operations = remains.operations;
        self.tally.writes = remains.writes;
        Played {
            failures: remains.violations,
            log: remains.log,
            tally: self.tally,
        }
    }

    async fn play(&mut self) {
        let scenario = self.scenario;
        for (at, phase) in scenario.phases.iter().enumerate() {
            self.site().note(|| format!("PHASE {}: {:?}", at + 1, phase.wish));
            match timeout(ENDLESS, self.phase(phase)).await {
                Ok(Ok(())) => {}
                Ok(Err(defect)) => self.site().violation(&defect),
                Err(_) => self.site().violation("nothing comes to an end any more"),
            }
            if !self.site().is_sound() {
                return;
            }
        }
    }

    /// The operator gets a wish, whatever comes in between.
    async fn phase(&mut self, phase: &Phase) -> Result<(), String> {
        let former = names(&self.members);
        self.change(phase.wish);
        let members = names(&self.members);
        // Those who use the services never use a host that is to leave, nor one that is not there yet.
        let staying: Vec<HostName> = members
            .iter()
            .filter(|host| former.contains(host))
            .cloned()
            .collect();
        self.site().set_clients(&staying);
        let inventory = project::inventory(
            &self.scenario.plays,
            self.scenario.hosts(),
            &self.members,
            self.turn,
        );
        let read = project::read(&inventory)?;
        let bad = match phase.wish {
            Wish::BadSetting => Some(project::read(&project::with_bad_setting(
                &inventory,
                &self.scenario.plays[0],
            ))?),
            _ => None,
        };
        self.site().set_inventory(&read.project.inventory.services);
        let mut options = Options::default();
        if phase.wish == Wish::Restart {
            options.restart = Some(self.running(&read).await);
        }
        self.site().begin_phase();
        self.with_troubles(phase, &read, bad.as_ref(), &options).await?;
        self.site().note(|| "all troubles are over".to_owned());
        let cut = phase.cut();
        self.converge(&read, &options, &cut).await?;
        sleep(REST).await;
        self.converge(&read, &options, &cut).await?;
        self.site().check_end();
        self.site().set_clients(&members);
        Ok(())
    }

    fn change(&mut self, wish: Wish) {
        let spare = self
            .scenario
            .hosts()
            .iter()
            .find(|host| !self.members.contains(host))
            .copied();
        let least = 3;
        match wish {
            Wish::Settings => self.turn += 1,
            Wish::Add => self.members.extend(spare),
            Wish::Remove if self.members.len() > least => {
                let at = self.chance.below(self.members.len());
                self.members.remove(at);
            }
            Wish::Build | Wish::Upkeep | Wish::BadSetting | Wish::Restart | Wish::Remove => {}
            Wish::Replace => {
                if let Some(spare) = spare {
                    let at = self.chance.below(self.members.len());
                    self.members[at] = spare;
                }
            }
        }
    }

    /// What runs now: what a restart that is asked for is about.
    async fn running(&self, read: &Read) -> RunningUnits {
        let connections = self.operator.connections(read);
        RunningUnits::of(&observe(&connections, read).await)
    }

    /// Applies while troubles come and go, and a client writes.
    /// The first apply is of the bad inventory, where there is one.
    async fn with_troubles(
        &mut self,
        phase: &Phase,
        read: &Read,
        bad: Option<&Read>,
        options: &Options,
    ) -> Result<(), String> {
        let began = Instant::now();
        let (ender, end) = watch::channel(false);
        let operator = self.operator.clone();
        let desk = std::mem::take(&mut self.desk);
        let at_work = AtWork {
            site: &operator.site,
            network: &operator.network,
            desk: &desk,
        };
        let mut pauses = self.chance.clone();
        let troubles = async {
            let all = phase
                .troubles
                .iter()
                .map(|trouble| at_work.run(trouble, began, end.clone()));
            join_all(all).await
        };
        let applying = async {
            let mut defect = Ok(());
            for round in 0..STUBBORN {
                let read = bad.filter(|_| round == 0).unwrap_or(read);
                let end = self.apply(read, options, &desk).await;
                if let End::Broken(why) = end {
                    defect = Err(why);
                    break;
                }
                if end == End::Converged && phase.troubles.is_empty() {
                    break;
                }
                sleep(self.chance.time(500, 60_000)).await;
            }
            ender.send_replace(true);
            defect
        };
        let writing = client(&operator.site, &mut pauses, end.clone());
        let (happened, defect, ()) = tokio::join!(troubles, applying, writing);
        for (trouble, happened) in phase.troubles.iter().zip(happened) {
            if happened {
                *self.tally.troubles.entry(trouble.sort.word()).or_default() += 1;
            }
        }
        defect
    }

    /// Applies until nothing is left to do.
    async fn converge(&mut self, read: &Read, options: &Options, cut: &[HostName]) -> Result<(), String> {
        let desk = Mutex::default();
        let mut last = End::Held;
        for round in 0..ENOUGH {
            last = self.apply(read, options, &desk).await;
            match &last {
                End::Converged => return Ok(()),
                End::Broken(why) => return Err(why.clone()),
                // What heals by itself has done so by then.
                End::Left { by_hand: true, .. } if round == PATIENCE => self.restart_by_hand(cut).await,
                End::Held | End::Interrupted | End::Left { .. } => {}
            }
            sleep(Duration::from_mins(1)).await;
        }
        Err(format!("after {ENOUGH} applies: {last:?}"))
    }

    /// A person does what a refusal asks for: restarts what runs on hosts that were cut off, one after another, and then
    /// the others, as is needed after a partition (<https://www.rabbitmq.com/docs/partitions#recovering>).
    async fn restart_by_hand(&mut self, cut: &[HostName]) {
        let others = names(&self.members)
            .into_iter()
            .filter(|host| !cut.contains(host));
        for host in &cut.iter().cloned().chain(others).collect::<Vec<HostName>>() {
            self.site()
                .note(|| format!("by hand: all on {host} is restarted"));
            for trouble in [Fault::Crash(host.clone()), Fault::Revive(host.clone())] {
                self.site().inject(None, &trouble, Some(host));
            }
            *self.tally.troubles.entry("by hand").or_default() += 1;
            sleep(Duration::from_mins(1)).await;
        }
    }

    /// One apply, unless it is killed; somebody else may do the same beside it.
    async fn apply(&mut self, read: &Read, options: &Options, desk: &Mutex<Desk>) -> End {
        self.tally.applies += 1;
        let name = format!("run{}", self.tally.applies);
        let (kill, killed) = oneshot::channel();
        let (stop, stopped) = watch::channel(Stop::No);
        let (rival, called) = oneshot::channel();
        *desk.lock().unwrap_or_else(PoisonError::into_inner) = Desk {
            kill: Some(kill),
            stop: Some(stop),
            rival: Some(rival),
        };
        let operator = &self.operator;
        let killed = async {
            if killed.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let ours = async {
            tokio::select! {
                biased;
                () = killed => {
                    operator.site.note(|| format!("{name} is killed"));
                    End::Held
                }
                end = operator.apply(read, options, &name, stopped) => end,
            }
        };
        let over = watch::channel(()).0;
        let mut is_over = over.subscribe();
        let theirs = async {
            let call = async { called.await.is_ok() };
            let is_called = tokio::select! {
                biased;
                is_called = call => is_called,
                _ = is_over.changed() => false,
            };
            if is_called {
                let (_stop, stopped) = watch::channel(Stop::No);
                let name = format!("{name}-rival");
                operator.apply(read, options, &name, stopped).await;
            }
        };
        let ours = async {
            let end = ours.await;
            drop(over);
            end
        };
        let (end, ()) = tokio::join!(ours, theirs);
        operator.site.note(|| format!("{name}: {end:?}"));
        end
    }
}

fn names(hosts: &[&str]) -> Vec<HostName> {
    hosts.iter().filter_map(|host| host.parse().ok()).collect()
}

/// A client that writes now and then.
async fn client(site: &Site, chance: &mut Chance, mut end: watch::Receiver<bool>) {
    let mut value = u64::try_from(site.now().as_millis()).unwrap_or(0) * 1000;
    loop {
        value += 1;
        site.write(value);
        tokio::select! {
            biased;
            _ = end.wait_for(|is_over| *is_over) => return,
            () = sleep(chance.time(200, 20_000)) => {}
        }
    }
}
