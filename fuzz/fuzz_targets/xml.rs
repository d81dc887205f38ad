//! The fuzz target `xml`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("xml"), |input: &[u8]| fuzzing::run("xml", input));
