//! The fuzz target `words`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("words"), |input: &[u8]| fuzzing::run("words", input));
