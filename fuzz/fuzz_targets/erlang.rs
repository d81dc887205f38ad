//! The fuzz target `erlang`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("erlang"), |input: &[u8]| fuzzing::run("erlang", input));
