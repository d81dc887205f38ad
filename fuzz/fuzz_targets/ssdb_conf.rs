//! The fuzz target `ssdb_conf`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("ssdb_conf"), |input: &[u8]| fuzzing::run("ssdb_conf", input));
