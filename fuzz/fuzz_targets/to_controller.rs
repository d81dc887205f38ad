//! The fuzz target `to_controller`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("to_controller"), |input: &[u8]| fuzzing::run("to_controller", input));
