//! The fuzz target `directives`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("directives"), |input: &[u8]| fuzzing::run("directives", input));
