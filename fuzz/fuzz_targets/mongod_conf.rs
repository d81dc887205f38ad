//! The fuzz target `mongod_conf`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("mongod_conf"), |input: &[u8]| fuzzing::run("mongod_conf", input));
