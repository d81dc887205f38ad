//! The fuzz target `template`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("template"), |input: &[u8]| fuzzing::run("template", input));
