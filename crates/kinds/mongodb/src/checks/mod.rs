//! Gates: the conditions that are waited for.

mod check;
pub(crate) mod gates;
mod judge;

#[cfg(test)]
pub(crate) use check::Check;
pub(crate) use judge::judge;
