//! The fuzz target `ssdb`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("ssdb"), |input: &[u8]| fuzzing::run("ssdb", input));
