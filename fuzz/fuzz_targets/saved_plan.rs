//! The fuzz target `saved_plan`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("saved_plan"), |input: &[u8]| fuzzing::run("saved_plan", input));
