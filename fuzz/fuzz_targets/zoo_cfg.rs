//! The fuzz target `zoo_cfg`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("zoo_cfg"), |input: &[u8]| fuzzing::run("zoo_cfg", input));
