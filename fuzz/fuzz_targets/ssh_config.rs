//! The fuzz target `ssh_config`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("ssh_config"), |input: &[u8]| fuzzing::run("ssh_config", input));
