//! The fuzz target `main_json`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("main_json"), |input: &[u8]| fuzzing::run("main_json", input));
