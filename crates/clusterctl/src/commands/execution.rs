//! Executing a plan: show it, ask, lock the hosts, run it, and verify.
//!
//! Success is convergence: after the run the hosts are observed once more and the plan must be empty, whatever the
//! steps said.

use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::time::Duration;

use executor::{Connections, Limits, LockError, Stop, round_pause, settle};
use plan::{Comparison, Event, Outcome, StepGraph, compare};
use planner::{Options, is_within, stopped_by_changes};
use protocol::LockHolder;
use report::{Clock, ColourChoice, Labels, Page, Progress, ProgressMode, Screen};
use state::{Journal, RunInfo, RunNode, RunWriter};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use types::RunId;

use super::plan::view;
use crate::cli::ApplyArgs;
use crate::clock::{new_run, now_text, now_us, operator};
use crate::error::Error;
use crate::exit::Exit;
use crate::hook::{self, Hook};
use crate::interrupt::unless_interrupted;
use crate::project::LoadedProject;
use crate::{interrupt, journal};

/// A plan that was made under the hosts' locks.
pub(super) struct LockedPlan {
    run: RunId,
    journal: Journal,
    graph: StepGraph,
    /// How it compares with the one that was approved before.
    pub(super) comparison: Comparison,
}

/// What an apply works with, of an inventory or of a saved plan.
pub(super) struct Execution<'a> {
    pub(super) args: &'a ApplyArgs,
    pub(super) loaded: &'a LoadedProject,
    pub(super) connections: Connections,
    pub(super) options: &'a Options,
    /// How many plans may be carried out, the first among them.
    pub(super) rounds: usize,
    /// How long another run's lock is waited for.
    pub(super) patience: Duration,
    pub(super) colours: ColourChoice,
}

impl Execution<'_> {
    /// Waits for what passes by itself, shows the plan, asks, takes the hosts' locks, checks that the plan still holds,
    /// executes it, and verifies.
    pub(super) async fn carry_out(
        mut self,
        graph: StepGraph,
        state_dir: Option<&Path>,
    ) -> Result<Exit, Error> {
        let graph = self.settle(graph).await?;
        if let Some(exit) = self.approve(&graph).await? {
            return Ok(exit);
        }
        let locked = self.lock(&graph, state_dir).await?;
        if locked.comparison != Comparison::Same {
            report::output::message("The hosts changed since they were observed. New plan:\n")?;
            if let Some(exit) = self.approve(&locked.graph).await? {
                return Ok(exit);
            }
        }
        self.run(locked).await
    }

    /// Takes the hosts' locks, gathers facts again and plans again: another run may have changed the hosts meanwhile, and
    /// the operator may have taken a while.
    pub(super) async fn lock(
        &mut self,
        graph: &StepGraph,
        state_dir: Option<&Path>,
    ) -> Result<LockedPlan, Error> {
        let run = new_run()?;
        let journal = journal::open(state_dir)?;
        let holder = LockHolder {
            who: operator(),
            since: now_text(),
            run: run.clone(),
        };
        let mut untold = Ok(());
        let tell = |held: &LockError| {
            untold = report::output::message(Page::sentence(&format!("{held}; waiting for the lock")));
        };
        self.connections
            .wait_for_locks(holder, self.patience, tell)
            .await?;
        untold?;
        let now = self.settle_unless(graph).await?;
        Ok(LockedPlan {
            run,
            journal,
            comparison: compare(graph, &now),
            graph: now,
        })
    }

    /// Plans again, and waits for what passes by itself where the plan is another than this one.
    pub(super) async fn settle_unless(&self, same: &StepGraph) -> Result<StepGraph, Error> {
        let now = self.plan().await?;
        if compare(same, &now) == Comparison::Same {
            return Ok(now);
        }
        self.settle(now).await
    }

    /// Waits for what passes by itself, while it plans again.
    async fn settle(&self, graph: StepGraph) -> Result<StepGraph, Error> {
        let again = async || self.plan().await;
        let tell = |graph: &StepGraph, at_most| {
            let page = report::render_waiting(graph, at_most, &Screen::of_stderr(self.colours));
            report::output::message(page)?;
            self.tell_waiting(graph, at_most)
        };
        settle(graph, again, tell).await
    }

    /// The plan after a round, with a pause before it where another may follow.
    async fn plan_after(&self, round: usize, has_another: bool) -> Result<StepGraph, Error> {
        if has_another {
            let pause = round_pause(round);
            let seconds = pause.as_secs();
            report::output::message(format!(
                "The hosts changed since the plan was made. They are observed again in {seconds} s."
            ))?;
            self.tell_waiting(&StepGraph::default(), pause)?;
            sleep(pause).await;
        }
        let now = self.plan().await?;
        self.settle(now).await
    }

    /// Waiting is no event of a run: the journal does not have it.
    fn tell_waiting(&self, graph: &StepGraph, at_most: Duration) -> Result<(), Error> {
        if self.args.json {
            report::output::result(report::waiting_json(now_us(), graph, at_most))?;
        }
        Ok(())
    }

    async fn plan(&self) -> Result<StepGraph, Error> {
        let facts = self.loaded.observe(&self.connections).await;
        Ok(self
            .loaded
            .project
            .plan(&facts, &self.loaded.scope, self.options)?)
    }

    /// Shows the plan and asks. An exit where there are no changes, or they are not approved.
    pub(super) async fn approve(&self, graph: &StepGraph) -> Result<Option<Exit>, Error> {
        show(self.args, self.loaded, graph, self.colours)?;
        if graph.nodes().is_empty() {
            return Ok(Some(if graph.is_converged() {
                Exit::Success
            } else {
                Exit::Incomplete
            }));
        }
        if !self.args.yes && !confirmed().await? {
            report::output::message("Nothing was changed.")?;
            return Ok(Some(Exit::Failure));
        }
        Ok(None)
    }

    /// Executes the plan and verifies it. Where only the hosts changed meanwhile, such as the leader, it executes the new
    /// plan, as long as that is within what was approved.
    pub(super) async fn run(&self, locked: LockedPlan) -> Result<Exit, Error> {
        let LockedPlan {
            mut run,
            journal,
            graph: approved,
            comparison: _,
        } = locked;
        let mut graph = approved.clone();
        let mut has_agreed = false;
        for round in 1.. {
            if !has_agreed && hook::is_asked(&graph, self.options) {
                self.ask_hook(&graph).await?;
                has_agreed = true;
            }
            let writer = journal.begin(&info(self.args, &graph, run))?;
            let (outcome, events) = self.execute(&graph, writer).await?;
            if outcome.interrupted {
                return Ok(Exit::Interrupted);
            }
            let has_another = round < self.rounds && stopped_by_changes(&events);
            let after = unless_interrupted(self.plan_after(round, has_another)).await??;
            if !has_another || !is_within(&approved, &after) {
                return conclude(self.args, self.loaded, outcome, &after, self.colours);
            }
            report::output::message("New plan, within what was approved:\n")?;
            show(self.args, self.loaded, &after, self.colours)?;
            if !self.args.yes && !unless_interrupted(confirmed()).await?? {
                return Ok(Exit::Incomplete);
            }
            graph = after;
            run = new_run()?;
        }
        Ok(Exit::Incomplete)
    }

    /// Runs the program of `before_disruption`, where there is one.
    async fn ask_hook(&self, graph: &StepGraph) -> Result<(), Error> {
        let Some(words) = &self.loaded.project.inventory.before_disruption else {
            return Ok(());
        };
        let running = format!("Running before_disruption: {}", words.join(" "));
        report::output::message(Page::sentence(&running))?;
        let hook = Hook {
            words,
            folder: &self.loaded.folder,
            secrets: &self.loaded.secrets,
            limit: hook::LIMIT,
        };
        Ok(unless_interrupted(hook.ask(report::plan_json(graph))).await??)
    }

    /// Runs the graph while its events go to the journal and to the progress.
    async fn execute(
        &self,
        graph: &StepGraph,
        mut writer: RunWriter,
    ) -> Result<(Outcome, Vec<Event>), Error> {
        let args = self.args;
        let screen = Screen::of_stderr(self.colours);
        let mode = if args.json {
            ProgressMode::Json
        } else {
            ProgressMode::of_stderr()
        };
        let mut progress = Progress::new(graph, mode, Clock::system(), screen);
        let (stopper, stop) = watch::channel(Stop::No);
        let (events, mut queue) = mpsc::unbounded_channel();
        let limits = Limits {
            hosts: args.parallel,
            fail_fast: args.fail_fast,
            pause_between: args.pause_between,
            ..Limits::default()
        };
        let running = executor::run(
            graph,
            &self.connections,
            &self.loaded.project,
            limits,
            stop,
            events,
        );
        let watching = async {
            let mut seen: Vec<(i64, Event)> = Vec::new();
            while let Some(event) = queue.recv().await {
                let at = now_us();
                writer.append(at, &event)?;
                progress.on(at, &event);
                seen.push((at, event));
            }
            Ok::<_, Error>(seen)
        };
        let interrupting = interrupt::watch(stopper);
        // The first error of the journal ends the run at once: what cannot be recorded is not done.
        let ended = async { tokio::try_join!(async { Ok(running.await) }, watching) };
        let (outcome, seen) = tokio::select! {
            ended = ended => ended?,
            never = interrupting => match never {},
        };
        drop(progress);
        writer.finish(now_us(), &outcome)?;
        report::output::message(report::render_outcome(&Labels::from(graph), &seen, &screen))?;
        Ok((outcome, seen.into_iter().map(|(_, event)| event).collect()))
    }
}

/// Shows the plan: on standard output, unless that is for events in JSON.
fn show(
    args: &ApplyArgs,
    loaded: &LoadedProject,
    graph: &StepGraph,
    colours: ColourChoice,
) -> Result<(), Error> {
    let page = report::render_plan(graph, &view(&loaded.project, &loaded.scope, colours));
    show_page(args, page)
}

/// Shows a page: on standard output, unless that is for events in JSON.
pub(super) fn show_page(args: &ApplyArgs, page: Page) -> Result<(), Error> {
    if args.json {
        report::output::message(page)?;
    } else {
        report::output::result(page)?;
    }
    Ok(())
}

/// Asks the operator, on the terminal. Connections are kept alive meanwhile, so the wait has a thread of its own.
pub(super) async fn confirmed() -> Result<bool, Error> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::NoTerminal);
    }
    report::output::prompt("Apply these changes? Only 'yes' is accepted: ")?;
    let asked = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).map(|_| answer)
    });
    let answer = asked.await.map_err(std::io::Error::other)??;
    Ok(answer.trim() == "yes")
}

fn info(args: &ApplyArgs, graph: &StepGraph, run: RunId) -> RunInfo {
    // The command line holds no secret: secrets are references there too.
    let command: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    RunInfo {
        run,
        started_us: now_us(),
        who: operator(),
        command: command.join(" "),
        inventory: args.target.source.inventory.display().to_string(),
        nodes: graph.nodes().iter().map(RunNode::from).collect(),
    }
}

/// The exit of a run, by its outcome and by what is still pending.
fn conclude(
    args: &ApplyArgs,
    loaded: &LoadedProject,
    outcome: Outcome,
    after: &StepGraph,
    colours: ColourChoice,
) -> Result<Exit, Error> {
    if after.is_converged() && outcome.is_success() {
        report::output::message(if after.paused.is_empty() {
            "Verified: no changes remain."
        } else {
            "Verified: no changes remain, except for what is paused."
        })?;
        return Ok(Exit::Success);
    }
    if !after.is_converged() {
        report::output::message("Still pending after apply:\n")?;
        show(args, loaded, after, colours)?;
    }
    let is_complete = outcome.is_success() && after.refusals.is_empty() && after.unplanned.is_empty();
    Ok(if is_complete {
        Exit::NotConverged
    } else {
        Exit::Incomplete
    })
}
