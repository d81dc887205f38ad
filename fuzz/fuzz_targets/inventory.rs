//! The fuzz target `inventory`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("inventory"), |input: &[u8]| fuzzing::run("inventory", input));
