//! What the operator sees during a run.
//!
//! - On a terminal each running node has a bar with what it waits for and for how long; nodes that ended move up into the
//!   scrollback.
//! - Elsewhere, as in a log of a pipeline, there is one line for each event.

mod bars;
pub mod log;

use plan::Event;

use crate::progress::bars::Bars;
use crate::progress::log::ProgressLog;
use crate::{Clock, Labels, Screen, event_json, output};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressMode {
    /// Bars, on the terminal that standard error is.
    Terminal,
    /// Lines on standard error, each with its time.
    Lines,
    /// Lines of JSON on standard output.
    Json,
    /// Nothing.
    Quiet,
}

/// The progress of a run.
pub struct Progress {
    mode: ProgressMode,
    log: ProgressLog,
    bars: Option<Bars>,
}

impl ProgressMode {
    /// The mode that suits standard error.
    pub fn of_stderr() -> Self {
        if console::user_attended_stderr() {
            Self::Terminal
        } else {
            Self::Lines
        }
    }
}

impl Progress {
    /// The progress of a run of these nodes, before it begins. Times are shown in the zone of `when`.
    pub fn new(labels: impl Into<Labels>, mode: ProgressMode, clock: Clock, screen: Screen) -> Self {
        let labels = labels.into();
        let bars = (mode == ProgressMode::Terminal).then(|| Bars::on_stderr(labels.len(), screen));
        Self {
            mode,
            log: ProgressLog::new(labels, clock, screen),
            bars,
        }
    }

    /// Adds an event, with the time that the journal has for it.
    ///
    /// A closed terminal or pipe is no reason to stop a run, so errors of writing are ignored.
    pub fn on(&mut self, at_us: i64, event: &Event) {
        if self.mode == ProgressMode::Json {
            let _ = output::result(event_json(at_us, event));
        }
        let timed = self.mode == ProgressMode::Lines;
        let line = self.log.line(at_us, event, timed);
        match (&mut self.bars, line) {
            (Some(bars), line) => bars.on(event, line.as_deref(), &self.log),
            (None, Some(line)) if self.mode == ProgressMode::Lines => {
                let _ = output::message(line);
            }
            (None, _) => {}
        }
    }

    /// Does something else with the terminal, such as writing a log line or asking a question.
    pub fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.bars {
            Some(bars) => bars.suspend(work),
            None => work(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bars) = &mut self.bars {
            bars.clear();
        }
    }
}
