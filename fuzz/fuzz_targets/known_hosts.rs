//! The fuzz target `known_hosts`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("known_hosts"), |input: &[u8]| fuzzing::run("known_hosts", input));
