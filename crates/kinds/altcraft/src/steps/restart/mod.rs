//! The step `restart`: both processes run, with the main.json of their host, one host after another.
//!
//! A process reads main.json when it starts. Whether it did is known from the times of both, and from the start that it
//! logged; nothing is remembered.

mod turns;

use std::collections::{BTreeMap, BTreeSet};

use protocol::UnitVerb;
use types::HostName;

use crate::checks;
use crate::observe::{FileTrouble, Member, Run, View};
use crate::rules::main_json::{change, write};
use crate::rules::membership::former;
use crate::rules::role_move::role_moves;
use crate::rules::startup::difference;
use crate::settings::{Program, Settings};
use kit::{Cx, Need, StepPlan, Task, Undecided};
use turns::{Turn, turns};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut restart = Restart {
        view: &view,
        cx,
        moves: role_moves(&view),
        started: BTreeSet::new(),
        last: BTreeMap::new(),
        all: StepPlan::nothing(),
    };
    for turn in turns(&view, cx) {
        match turn {
            Turn::GiveUp(former) => restart.give_up(former),
            Turn::StartAsItIs(member) => restart.start_as_it_is(member),
            Turn::Renew(member) => restart.renew(member),
        }
    }
    restart.expect_one_master();
    restart.all
}

/// The step, turn by turn.
struct Restart<'v, 'a> {
    view: &'v View<'a>,
    cx: &'v Cx<'v>,
    /// Whether the master's role moves: then each main.json is written in its host's turn.
    moves: bool,
    /// Hosts that were started with the main.json that they had.
    started: BTreeSet<&'v HostName>,
    /// The task with the last start of each program, by its place.
    last: BTreeMap<Program, usize>,
    all: StepPlan,
}

impl<'v> Restart<'v, '_> {
    /// A former member gives the role up, and serves on until it leaves.
    fn give_up(&mut self, former: &'v Member<'_>) {
        let (settings, host) = (self.view.settings, former.host);
        let members = [settings.hosts.as_slice(), std::slice::from_ref(host)].concat();
        let Ok(after) = change(settings, &members, former) else {
            // What it would do with a file that cannot be read is not known: the step `leave` stops it.
            return;
        };
        // The next master may not serve yet, and cannot before this one has given the role up.
        let serves = |host: &&HostName| {
            let member = self.view.members.listed(host);
            let serves = member.is_some_and(Member::serves) || self.started.contains(host);
            !settings.is_master(host) || serves
        };
        let serving: BTreeSet<&HostName> = self.cx.hosts.iter().filter(serves).collect();
        let file = after.and_then(|after| write(settings, &members, former, after));
        self.all.tasks.extend(file.map(|task| task.part("main.json")));
        for run in former.runs.iter().filter(|run| run.is_active()) {
            let reason = "it is no host of this service any more, and gives the role up";
            // It is no member, and the budget is not about it; the gate is.
            let task = run
                .unit_process(self.view.settings)
                .tell(&[UnitVerb::Restart], reason);
            let gate = checks::others_serve(settings, host, &serving);
            self.push_start(run, host, task.before(gate));
        }
    }

    fn start_as_it_is(&mut self, member: &'v Member<'_>) {
        for run in member.runs.iter().filter(|run| !run.is_active()) {
            let reason =
                "it does not run, and takes the place of the old master while that gives the role up";
            let task = run
                .unit_process(self.view.settings)
                .tell(&[UnitVerb::Start], reason);
            let gate = checks::serving(self.view.settings, run.process, member.host);
            let part = format!("{}-first", run.process.program);
            self.all.tasks.push(task.part(part).gate(gate));
            self.started.insert(member.host);
        }
    }

    /// A member comes to run with the main.json that it should have.
    fn renew(&mut self, member: &'v Member<'_>) {
        let (settings, host) = (self.view.settings, member.host);
        let after = match change(settings, &settings.hosts, member) {
            Ok(after) => after.filter(|_| self.moves),
            Err(FileTrouble::Unknown(_)) => None,
            // Refused by the step `check`.
            Err(_) => return,
        };
        let file = after.and_then(|after| write(settings, &settings.hosts, member, after));
        let is_written = file.is_some() || self.cx.writes(host, &settings.config);
        self.all.tasks.extend(file.map(|task| task.part("main.json")));
        for run in &member.runs {
            let mut need = match self.need(member, run, is_written) {
                Ok(Some(need)) => need,
                Ok(None) => continue,
                Err(why) => {
                    self.all.unplanned.push((host.clone(), why.to_string()));
                    continue;
                }
            };
            if self.started.contains(host) {
                let mut verbs = need.verbs.iter_mut();
                if let Some(start) = verbs.find(|verb| **verb == UnitVerb::Start) {
                    *start = UnitVerb::Restart;
                }
            }
            let task = run
                .unit_process(self.view.settings)
                .task(&need)
                .disrupting(need.restarts());
            if need.starts() {
                self.push_start(run, host, task);
            } else {
                self.all.tasks.push(task.part(run.process.program.name()));
            }
        }
    }

    fn need(&self, member: &Member<'_>, run: &Run<'_>, is_written: bool) -> Result<Option<Need>, Undecided> {
        let unit = run.unit.as_ref().map_err(Clone::clone)?;
        member.file.as_ref().map_err(Clone::clone)?;
        if !unit.exists() {
            // Refused by the step `check`.
            return Ok(None);
        }
        let restart = || Ok(restart_reason(self.view.settings, member, run, is_written));
        run.unit_process(self.view.settings).need(self.cx, restart)
    }

    /// A start with the main.json that the host should have.
    fn push_start(&mut self, run: &Run<'_>, host: &HostName, task: Task) {
        let program = run.process.program;
        let gate = checks::started(self.view.settings, run.process, host);
        self.last.insert(program, self.all.tasks.len());
        self.all.tasks.push(task.part(program.name()).gate(gate));
    }

    /// After the last start of each program one host is its master, as far as all hosts tell.
    fn expect_one_master(&mut self) {
        let settings = self.view.settings;
        let leaving = former(self.view).map(|former| former.host);
        let leaving = leaving.filter(|host| self.cx.others.contains(host));
        let reached: BTreeSet<&HostName> = self.cx.hosts.iter().chain(leaving).collect();
        for (program, at) in &self.last {
            if let Some(task) = self.all.tasks.get_mut(*at) {
                let process = settings.process(*program);
                let gate = checks::one_master(settings, process, &task.host, &reached);
                task.gates.push(gate);
            }
        }
    }
}

/// Why a running process must be started again; `None` where it need not.
fn restart_reason(
    settings: &Settings,
    member: &Member<'_>,
    run: &Run<'_>,
    is_written: bool,
) -> Option<String> {
    if is_written {
        return Some("its main.json changes".to_owned());
    }
    // Where the process differs although its main.json is older, the file has an old date.
    difference(settings, run, member.host).or_else(|| {
        let newer = member.newer_than(settings, run)?;
        Some(format!("main.json {newer}"))
    })
}
