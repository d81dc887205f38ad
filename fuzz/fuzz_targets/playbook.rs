//! The fuzz target `playbook`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("playbook"), |input: &[u8]| fuzzing::run("playbook", input));
