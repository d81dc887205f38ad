//! The fuzz target `resp`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("resp"), |input: &[u8]| fuzzing::run("resp", input));
