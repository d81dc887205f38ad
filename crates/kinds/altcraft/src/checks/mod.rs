//! Gates, and the checks that they wait for.

mod check;
mod gates;

#[cfg(test)]
pub(crate) use check::Check;
pub(crate) use check::judge;
pub(crate) use gates::{one_master, others_serve, serving, started};
