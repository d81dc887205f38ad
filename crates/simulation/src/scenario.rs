//! What a seed stands for: services and hosts, how fast things go, what the operator wants, and the troubles.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use fakes::{PLAYS, Pace, Play};
use types::HostName;

use crate::chance::Chance;
use crate::doubt::Doubt;
use crate::project;

/// The hosts that there are at most.
const HOSTS: [&str; 6] = ["db1", "db2", "db3", "db4", "db5", "db6"];

/// What may be drawn.
#[derive(Debug, Clone, Default)]
pub struct Draw {
    /// Only this kind, alone; empty for any.
    pub kind: Option<String>,
    /// Whether members are added, removed and replaced.
    pub scale: bool,
    /// Whether every question is answered truly.
    pub no_doubts: bool,
}

/// One story, from bare hosts to the last empty plan.
#[derive(Clone)]
pub struct Scenario {
    /// The seed that it was drawn from.
    pub seed: u64,
    pub(crate) plays: Vec<Play>,
    /// How many hosts the services have at first, from the first on; one more may be added.
    pub(crate) members: usize,
    pub(crate) pace: Pace,
    /// The longest that the network takes, in milliseconds.
    pub(crate) latency_ms: u64,
    /// The longest that an operation takes on a host, in milliseconds.
    pub(crate) work_ms: u64,
    pub(crate) phases: Vec<Phase>,
}

/// Something that the operator wants, and what comes in between.
#[derive(Debug, Clone)]
pub(crate) struct Phase {
    pub(crate) wish: Wish,
    pub(crate) troubles: Vec<Fault>,
}

/// What the operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The cluster, on hosts that are bare.
    Build,
    /// That all is as described; it is already but for the troubles.
    Upkeep,
    /// Another setting.
    Settings,
    /// A setting with which no process starts; then the one before again.
    BadSetting,
    /// A restart.
    Restart,
    /// One host more.
    Add,
    /// One host less.
    Remove,
    /// Another host instead of one.
    Replace,
}

/// Something that goes wrong for a while.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) sort: Sort,
    pub(crate) at: Moment,
    pub(crate) lasts: Duration,
}

/// When something happens, counted from the beginning of its phase.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    /// After this time.
    After(Duration),
    /// So long after so many operations have begun on hosts.
    Operation(u64, Duration),
}

/// What goes wrong. Services are named by their place in the scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sort {
    /// The controller is killed.
    Kill,
    /// The operator interrupts the run.
    Interrupt,
    /// Somebody else applies the same.
    Rival,
    /// A process dies, and systemd starts it again at the end where `is_revived`.
    Crash {
        service: usize,
        host: HostName,
        is_revived: bool,
    },
    /// A process dies again and again, as often as it starts.
    Sick { service: usize, host: HostName },
    /// A host is down, and boots at the end.
    Down(HostName),
    /// A host is cut off from the others, and from the controller where `wholly`.
    Cut { host: HostName, wholly: bool },
    /// The controller is cut off from a host.
    Apart(HostName),
    /// A host's disk is full.
    Full(HostName),
    /// A service makes another member its leader.
    Handover { service: usize },
    /// Questions fail, and nothing else does.
    Doubt(Doubt),
}

impl Scenario {
    /// Draws a scenario; `None` where no kind may be played.
    pub fn draw(seed: u64, draw: &Draw) -> Option<Self> {
        let mut chance = Chance::new(seed, 0);
        let known: Vec<Play> = PLAYS
            .iter()
            .filter(|play| draw.kind.as_ref().is_none_or(|kind| kind == play.kind))
            .copied()
            .collect();
        let mut plays = vec![*chance.pick(&known)?];
        let others: Vec<Play> = known
            .into_iter()
            .filter(|play| play.kind != plays[0].kind)
            .collect();
        if chance.one_in(4) {
            plays.extend(chance.pick(&others).copied());
        }
        let members = usize::try_from(chance.between(3, 5)).unwrap_or(3);
        // A service that uses others takes the one beside it for one of those, and may want more of it than it has.
        let hosts = &HOSTS[..=members];
        if plays.len() > 1 && project::read(&project::inventory(&plays, hosts, &hosts[..members], 0)).is_err()
        {
            plays.truncate(1);
        }
        let is_quick = chance.one_in(4);
        let mut some = |most: u64| {
            if is_quick {
                0
            } else {
                i64::try_from(chance.between(0, most)).unwrap_or(0)
            }
        };
        let pace = Pace {
            start_us: some(8_000_000),
            elect_us: some(12_000_000),
            copy_us: some(20_000_000),
            ..Pace::default()
        };
        let latency_ms = chance.pick(&[5, 50, 400, 2000]).copied().unwrap_or(5);
        let work_ms = chance.pick(&[10, 300, 3000]).copied().unwrap_or(10);
        let mut scenario = Self {
            seed,
            plays,
            members,
            pace,
            latency_ms,
            work_ms,
            phases: Vec::new(),
        };
        let most = if chance.one_in(3) { 4 } else { 0 };
        scenario.add_phase(Wish::Build, most, &mut chance);
        let mut wishes = vec![Wish::Upkeep, Wish::Settings, Wish::Settings, Wish::Restart];
        if draw.scale {
            wishes.extend([Wish::Add, Wish::Remove, Wish::Replace]);
        }
        for _ in 0..chance.between(1, 2) {
            let wish = chance.pick(&wishes).copied().unwrap_or(Wish::Upkeep);
            scenario.add_phase(wish, 5, &mut chance);
        }
        // Drawn apart, so that all else of a seed stays as it was before there were these.
        let mut chance = Chance::new(seed, 3);
        if chance.one_in(3) {
            scenario.pace = real_pace(&mut chance);
        }
        if !draw.no_doubts && chance.one_in(3) {
            scenario.add_doubts(&mut chance);
        }
        let mut chance = Chance::new(seed, 4);
        if scenario.plays[0].number.is_some() && chance.one_in(4) {
            scenario.add_phase(Wish::BadSetting, 3, &mut chance);
        }
        Some(scenario)
    }

    /// One question or several fail for a while, in each phase.
    fn add_doubts(&mut self, chance: &mut Chance) {
        let hosts = self.hosts();
        for at in 0..self.phases.len() {
            for _ in 0..chance.between(0, 3) {
                let host = hosts[chance.below(self.members)].parse();
                let Ok(host) = host else { continue };
                let sort = Sort::Doubt(Doubt::draw(host, chance));
                let fault = self.fault(sort, chance);
                let troubles = &mut self.phases[at].troubles;
                if !troubles.iter().any(|other| other.sort.is_like(&fault.sort)) {
                    troubles.push(fault);
                }
            }
        }
    }

    /// The hosts: one more than the services have at first.
    pub(crate) fn hosts(&self) -> &'static [&'static str] {
        &HOSTS[..=self.members]
    }

    fn add_phase(&mut self, wish: Wish, most: u64, chance: &mut Chance) {
        let mut troubles: Vec<Fault> = Vec::new();
        for _ in 0..chance.between(0, most) {
            let Some(trouble) = self.trouble(chance) else {
                continue;
            };
            // One of a sort at a time: what ends the first would end the second too.
            if !troubles.iter().any(|other| other.sort.is_like(&trouble.sort)) {
                troubles.push(trouble);
            }
        }
        self.phases.push(Phase { wish, troubles });
    }

    fn trouble(&self, chance: &mut Chance) -> Option<Fault> {
        let at = self.moment(chance);
        Some(Fault {
            sort: self.sort(chance)?,
            at,
            lasts: chance.time(100, 400_000),
        })
    }

    fn fault(&self, sort: Sort, chance: &mut Chance) -> Fault {
        Fault {
            sort,
            at: self.moment(chance),
            lasts: chance.time(100, 400_000),
        }
    }

    fn moment(&self, chance: &mut Chance) -> Moment {
        if chance.one_in(3) {
            Moment::After(chance.time(1, 300_000))
        } else {
            let after = Duration::from_millis(chance.between(0, 2 * (self.latency_ms + self.work_ms)));
            Moment::Operation(chance.between(1, 40), after)
        }
    }

    fn sort(&self, chance: &mut Chance) -> Option<Sort> {
        let host: HostName = self.hosts()[chance.below(self.members)].parse().ok()?;
        let service = chance.below(self.plays.len());
        Some(match chance.between(0, 16) {
            0..=2 => Sort::Kill,
            3 => Sort::Interrupt,
            4 => Sort::Rival,
            5..=6 => Sort::Crash {
                service,
                host,
                is_revived: chance.one_in(2),
            },
            7 => Sort::Sick { service, host },
            8..=9 => Sort::Down(host),
            10..=11 => Sort::Cut {
                host,
                wholly: chance.one_in(2),
            },
            12..=13 => Sort::Apart(host),
            14 => Sort::Full(host),
            _ => Sort::Handover { service },
        })
    }
}

/// How long things take on real servers: MongoDB elects in 10 to 17 s and takes leave for 15 s; a server that has much to
/// read boots for a minute.
fn real_pace(chance: &mut Chance) -> Pace {
    let mut between = |least: u64, most: u64| {
        let us = chance.between(least * 1_000_000, most * 1_000_000);
        i64::try_from(us).unwrap_or(i64::MAX)
    };
    Pace {
        start_us: between(2, 60),
        elect_us: between(10, 17),
        copy_us: between(1, 30),
        quiesce_us: 15_000_000,
    }
}

impl Phase {
    /// The hosts that are cut off from others in it.
    pub(crate) fn cut(&self) -> Vec<HostName> {
        let cut = self.troubles.iter().filter_map(|trouble| match &trouble.sort {
            Sort::Cut { host, .. } => Some(host.clone()),
            _ => None,
        });
        cut.collect()
    }
}

impl Sort {
    /// One word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Interrupt => "interrupt",
            Self::Rival => "rival",
            Self::Crash { .. } => "crash",
            Self::Sick { .. } => "sick",
            Self::Down(_) => "down",
            Self::Cut { .. } => "cut",
            Self::Apart(_) => "apart",
            Self::Full(_) => "full",
            Self::Handover { .. } => "handover",
            Self::Doubt(_) => "doubt",
        }
    }

    fn host(&self) -> Option<&HostName> {
        match self {
            Self::Crash { host, .. }
            | Self::Sick { host, .. }
            | Self::Down(host)
            | Self::Cut { host, .. }
            | Self::Apart(host)
            | Self::Full(host)
            | Self::Doubt(Doubt { host, .. }) => Some(host),
            Self::Kill | Self::Interrupt | Self::Rival | Self::Handover { .. } => None,
        }
    }

    /// Whether both could not be told from each other while they last.
    fn is_like(&self, other: &Self) -> bool {
        let lasts = !matches!(
            self,
            Self::Kill | Self::Interrupt | Self::Rival | Self::Crash { .. } | Self::Handover { .. }
        );
        lasts && self.word() == other.word() && self.host() == other.host()
    }
}

impl Display for Sort {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("the controller is killed"),
            Self::Interrupt => f.write_str("the operator interrupts"),
            Self::Rival => f.write_str("somebody else applies the same"),
            Self::Crash {
                service,
                host,
                is_revived,
            } => {
                let end = if *is_revived { ", and is started again" } else { "" };
                write!(f, "the process of service {} on {host} dies{end}", service + 1)
            }
            Self::Sick { service, host } => {
                write!(f, "service {} on {host} dies as often as it starts", service + 1)
            }
            Self::Down(host) => write!(f, "{host} is down"),
            Self::Cut { host, wholly: false } => {
                write!(f, "{host} and the other hosts are cut off from each other")
            }
            Self::Cut { host, wholly: true } => write!(f, "{host} is cut off from everybody"),
            Self::Apart(host) => write!(f, "the controller is cut off from {host}"),
            Self::Full(host) => write!(f, "the disk of {host} is full"),
            Self::Handover { service } => write!(f, "service {} hands over", service + 1),
            Self::Doubt(doubt) => write!(f, "{doubt}"),
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.at {
            Moment::After(time) => write!(f, "after {:.1} s", time.as_secs_f64())?,
            Moment::Operation(count, time) => write!(f, "{} ms into operation {count}", time.as_millis())?,
        }
        write!(f, ", for {:.1} s: {}", self.lasts.as_secs_f64(), self.sort)
    }
}

impl Display for Scenario {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kinds: Vec<&str> = self.plays.iter().map(|play| play.kind).collect();
        writeln!(
            f,
            "seed {}: {} on {} hosts; start {} ms, election {} ms, copy {} ms, quiesce {} ms, network {} ms, \
             work {} ms",
            self.seed,
            kinds.join(" and "),
            self.members,
            self.pace.start_us / 1000,
            self.pace.elect_us / 1000,
            self.pace.copy_us / 1000,
            self.pace.quiesce_us / 1000,
            self.latency_ms,
            self.work_ms,
        )?;
        for (at, phase) in self.phases.iter().enumerate() {
            writeln!(f, "  phase {}: {:?}", at + 1, phase.wish)?;
            for trouble in &phase.troubles {
                writeln!(f, "    {trouble}")?;
            }
        }
        Ok(())
    }
}
