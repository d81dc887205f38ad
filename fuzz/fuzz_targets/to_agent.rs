//! The fuzz target `to_agent`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("to_agent"), |input: &[u8]| fuzzing::run("to_agent", input));
