//! The fuzz target `rabbitmq_conf`: see `fuzzing::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzzing::write_seeds("rabbitmq_conf"), |input: &[u8]| fuzzing::run("rabbitmq_conf", input));
