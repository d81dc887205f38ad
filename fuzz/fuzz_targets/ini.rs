//! The fuzz target `ini`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("ini"), |input: &[u8]| fuzzing::run("ini", input));
