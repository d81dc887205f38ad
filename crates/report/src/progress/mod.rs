//! What the operator sees while a run goes on.
//!
//! On a terminal each node that is under way has a line with what it waits for and for how long, and what has ended
//! moves up into the scrollback. Elsewhere, as in a log of a pipeline, there is one line for each thing that happens.
//! Both are told by the same [`teller`].

mod bars;
pub mod teller;

use plan::Event;

use crate::progress::bars::Bars;
use crate::progress::teller::Teller;
use crate::{Labels, Look, When, event_json, out};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// Lines that move, on the terminal that standard error is.
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
    face: Face,
    teller: Teller,
    bars: Option<Bars>,
}

impl Face {
    /// The face that suits standard error.
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
    pub fn new(labels: impl Into<Labels>, face: Face, when: When, look: Look) -> Self {
        let labels = labels.into();
        let bars = (face == Face::Terminal).then(|| Bars::on_stderr(labels.len(), look));
        Self {
            face,
            teller: Teller::new(labels, when, look),
            bars,
        }
    }

    /// Takes in what happened, with the time that the journal has for it.
    ///
    /// A terminal or a pipe that has gone away is no reason to stop a run, so nothing is said of it.
    pub fn on(&mut self, at_us: i64, event: &Event) {
        if self.face == Face::Json {
            let _ = out::result(event_json(at_us, event));
        }
        let timed = self.face == Face::Lines;
        let line = self.teller.tell(at_us, event, timed);
        match (&mut self.bars, line) {
            (Some(bars), line) => bars.on(event, line.as_deref(), &self.teller),
            (None, Some(line)) if self.face == Face::Lines => {
                let _ = out::message(line);
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
