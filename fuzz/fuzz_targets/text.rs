//! The fuzz target `text`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("text"), |input: &[u8]| fuzzing::run("text", input));
