//! The fuzz target `mongo`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("mongo"), |input: &[u8]| fuzzing::run("mongo", input));
