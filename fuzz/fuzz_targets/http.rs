//! The fuzz target `http`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("http"), |input: &[u8]| fuzzing::run("http", input));
