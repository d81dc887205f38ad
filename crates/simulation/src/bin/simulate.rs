//! `simulate`: plays seeds on all cores and tells which fail; or one seed, with all that happens.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use simulation::{Draw, Played, Scenario, Settings, Tally, play, shrink};

/// Plans and runs on services in memory, in simulated time, with every trouble that a seed draws.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask simulate", max_term_width = 100)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
struct Args {
    /// How many seeds are played
    #[arg(long, default_value_t = 1000)]
    seeds: u64,

    /// The first of them
    #[arg(long, default_value_t = 1)]
    from: u64,

    /// Play this one seed, and tell all that happens
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,

    /// Play it as it was drawn, and do not look for fewer troubles with which it fails too
    #[arg(long, requires = "seed")]
    whole: bool,

    /// Only this kind of service, alone
    #[arg(long)]
    kind: Option<String>,

    /// Add, remove and replace members too
    #[arg(long)]
    scale: bool,

    /// Let no question fail; else some do in a third of the seeds: refused, unanswered, denied
    #[arg(long)]
    no_doubts: bool,

    /// End after so many seeds that fail
    #[arg(long, default_value_t = 10)]
    failures: usize,

    /// How many are played at once; as many as there are cores by default
    #[arg(long)]
    jobs: Option<usize>,

    /// Plan without disruption budgets, to see that it is noticed
    #[arg(long)]
    reckless: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let is_sound = match args.seed {
        Some(seed) => one(&args, seed),
        None => many(&args),
    };
    if is_sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Args {
    fn draw(&self) -> Draw {
        Draw {
            kind: self.kind.clone(),
            scale: self.scale,
            no_doubts: self.no_doubts,
        }
    }

    fn settings(&self, is_logged: bool) -> Settings {
        Settings {
            is_logged,
            is_reckless: self.reckless,
        }
    }

    /// The command that plays a seed again.
    fn replay(&self, seed: u64) -> String {
        let kind = self.kind.as_ref().map(|kind| format!(" --kind {kind}"));
        let scale = if self.scale { " --scale" } else { "" };
        let doubts = if self.no_doubts { " --no-doubts" } else { "" };
        let reckless = if self.reckless { " --reckless" } else { "" };
        format!(
            "cargo xtask simulate --seed {seed}{}{scale}{doubts}{reckless}",
            kind.unwrap_or_default()
        )
    }
}

/// Plays a seed with its log; one that fails again with the fewest troubles that do it.
fn one(args: &Args, seed: u64) -> bool {
    let Some(scenario) = Scenario::draw(seed, &args.draw()) else {
        return nothing();
    };
    let least = if args.whole {
        scenario.clone()
    } else {
        shrink(&scenario, args.settings(false))
    };
    if least.to_string() != scenario.to_string() {
        say(&format!("{scenario}it fails, and so does it with less:\n"));
    }
    let played = play(&least, args.settings(true));
    say(least.to_string().trim_end());
    for line in &played.log {
        say(line);
    }
    for failure in &played.failures {
        say(&format!("FAILED: {failure}"));
    }
    say(&figures(&played.tally));
    played.failures.is_empty()
}

fn nothing() -> bool {
    say("there is no such kind to play");
    false
}

/// Plays many seeds, and tells those that fail.
fn many(args: &Args) -> bool {
    let began = Instant::now();
    let jobs = args
        .jobs
        .or_else(|| thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(1);
    let next = AtomicU64::new(args.from);
    let end = args.from.saturating_add(args.seeds);
    let is_over = AtomicBool::new(false);
    let (done, results) = mpsc::channel::<(u64, Played)>();
    let mut tally = Tally::default();
    let mut count = 0_u64;
    let mut failed = 0;
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (done, next, is_over) = (done.clone(), &next, &is_over);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    let Some(scenario) = Scenario::draw(seed, &args.draw()) else {
                        return;
                    };
                    if done.send((seed, play(&scenario, args.settings(false)))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut told = Instant::now();
        for (seed, played) in results {
            count += 1;
            tally.add(&played.tally);
            if let Some(failure) = played.failures.first() {
                failed += 1;
                say(&format!("seed {seed}: {failure}\n    {}", args.replay(seed)));
                is_over.fetch_or(failed >= args.failures, Ordering::Relaxed);
            }
            if told.elapsed() > Duration::from_secs(30) {
                told = Instant::now();
                say(&format!("... {count} seeds, {failed} failed"));
            }
        }
    });
    if count == 0 {
        return nothing();
    }
    let took = began.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = count as f64 * 60.0 / took.as_secs_f64();
    say(&figures(&tally));
    say(&format!(
        "{count} seeds in {:.1} s on {jobs} threads: {rate:.0} seeds a minute; {failed} failed",
        took.as_secs_f64()
    ));
    failed == 0
}

fn figures(tally: &Tally) -> String {
    let troubles: Vec<String> = tally
        .troubles
        .iter()
        .map(|(sort, count)| format!("{sort} {count}"))
        .collect();
    format!(
        "{} applies, {} operations, {} acknowledged writes, {:.1} h of simulated time\ntroubles: {}",
        tally.applies,
        tally.operations,
        tally.writes,
        tally.time.as_secs_f64() / 3600.0,
        troubles.join(", ")
    )
}

/// Prints a line for the person at the terminal. One that went away (`| head`) is no failure.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
