//! What every kind of service is made of: values and functions that kinds use, and nothing that drives them.
//!
//! A kind reads its settings, says which facts it needs of each host, and turns settings and facts into the tasks
//! of each step of its playbook. All of it is pure: no clock, no file, no network, so that every situation a
//! cluster can be in is a value that a test can write down. Kinds know nothing of each other, and nobody else
//! matches on a kind.
//!
//! A kind fills in a [`KindTable`]; [`Service`] says what each answer means. [`Cx`], [`Task`] and [`StepPlan`] are what its
//! steps are written with, [`DesiredFile`] and [`Process`] what most of them plan. The rest is there for those that need it.

mod absent;
pub mod checks;
mod file;
mod freshness;
mod kind;
mod limits;
mod members;
mod obstacles;
mod offer;
mod probe;
mod rollout;
mod service;
mod status;
mod step;
mod steps;
mod table;
mod unit;

pub use absent::absent;
pub use file::{DesiredFile, hash};
pub use freshness::{Freshness, Newer};
pub use kind::{Kind, Kinds, ReadCx};
pub use limits::{PACKAGES, QUICK, UNIT};
pub use members::{Member, Members};
pub use obstacles::obstructed;
pub use offer::{Endpoint, Login, Offer};
pub use probe::Probe;
pub use rollout::{Turn, majority};
pub use service::{IPV4_ONLY, Service};
pub use status::process_status;
pub use step::{Cx, Step, StepPlan, Task, action, each_host};
pub use steps::{PlanStep, Steps};
pub use table::{Identity, KindTable, Special};
pub use unit::{Need, Process, Reason, Undecided, is_reached_by_none, verbs_to_run};
