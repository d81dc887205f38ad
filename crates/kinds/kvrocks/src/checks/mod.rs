//! Gates, and the checks that they wait for.

mod check;
mod gates;

#[cfg(test)]
pub(crate) use check::Check;
pub(crate) use check::judge;
pub(crate) use gates::{
    followers, forgotten, found, member_serving, new_master, promoted, replicas_level, sentinel_agrees,
    sentinel_knows, staying,
};
