//! What each fuzz target does with an input: one function a target, used by `fuzz/` and by the replay of kept inputs.
//!
//! A target must end, whatever the bytes are, without a panic and within its limits of time and memory. Where more can be
//! said, it is asserted: a file that was edited is left alone by the same edit, a message that was decoded encodes to the
//! same message, a secret never leaves the agent. An assertion that fails is a finding like any other.

mod editors;
mod hosts;
mod operators;
pub mod seeds;
mod servers;
mod wire;

use std::path::PathBuf;

/// What one target does with an input: whether the input was taken for what it claims to be.
pub type Run = fn(&[u8]) -> bool;

/// A target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: that of its file in `fuzz/fuzz_targets` and of its folders in fuzz/corpus and fuzz/found.
    pub name: &'static str,
    /// What it does with an input.
    pub run: Run,
    /// Inputs of the right form that are made from types, where no file can hold them for long.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub static TARGETS: &[Target] = &[
    target("to_controller", wire::to_controller, seeds::to_controller),
    target("to_agent", wire::to_agent, seeds::to_agent),
    target("text", wire::text, Vec::new),
    target("conceal", wire::conceal, Vec::new),
    target("resp", servers::resp, Vec::new),
    target("ssdb", servers::ssdb, Vec::new),
    target("mongo", servers::mongo, Vec::new),
    target("erlang", servers::erlang, Vec::new),
    target("http", servers::http, Vec::new),
    target("words", servers::words, Vec::new),
    target("xml", hosts::xml, Vec::new),
    target("zoo_cfg", hosts::zoo_cfg, Vec::new),
    target("directives", hosts::directives, Vec::new),
    target("mongod_conf", hosts::mongod_conf, Vec::new),
    target("ssdb_conf", hosts::ssdb_conf, Vec::new),
    target("rabbitmq_conf", hosts::rabbitmq_conf, Vec::new),
    target("main_json", hosts::main_json, Vec::new),
    target("ini", hosts::ini, Vec::new),
    target("known_hosts", hosts::known_hosts, Vec::new),
    target("ssh_config", hosts::ssh_config, Vec::new),
    target("inventory", operators::inventory, Vec::new),
    target("playbook", operators::playbook, Vec::new),
    target("template", operators::template, Vec::new),
    target("saved_plan", operators::saved_plan, seeds::saved_plan),
];

const fn target(name: &'static str, run: Run, seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds }
}

/// Runs a target by its name: what a program in `fuzz/fuzz_targets` does.
///
/// # Panics
/// Where there is no such target, and where the target has a finding.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    assert!(target.is_some(), "there is no fuzz target {name}");
    if let Some(target) = target {
        (target.run)(input);
    }
}

/// Writes the seeds of a target into the folder that `CLUSTERCTL_FUZZ_SEEDS` names, where it is set: the fuzzer reads its
/// inputs from folders.
///
/// # Panics
/// Where they cannot be written.
pub fn write_seeds(name: &str) {
    let Some(folder) = std::env::var_os("CLUSTERCTL_FUZZ_SEEDS").map(PathBuf::from) else {
        return;
    };
    let seeds = TARGETS
        .iter()
        .find(|target| target.name == name)
        .map(|target| (target.seeds)());
    for (at, seed) in seeds.unwrap_or_default().into_iter().enumerate() {
        let written = std::fs::write(folder.join(format!("seed-{at}")), seed);
        assert!(written.is_ok(), "a seed cannot be written: {:?}", written.err());
    }
}
