//! Random graphs with trouble everywhere.
