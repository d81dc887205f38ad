//! Case tests.
