//! The fuzz target `conceal`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("conceal"), |input: &[u8]| fuzzing::run("conceal", input));
