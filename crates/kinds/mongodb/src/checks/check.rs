//! Gates: what is waited for.

pub(crate) mod gates;
