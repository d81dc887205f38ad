//! What keeps secrets in this process's memory.
//!
//! The agent holds passwords. A crash must not write them to disk as a core file, and other processes of the same
//! user must not read them out of its memory.

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// Makes this process fit to hold secrets and to make files for others.
///
/// It forbids core files and the inspection of this process, and makes a panic in any thread end all of it: a thread
/// that died silently would leave its request unanswered for ever. The umask is the usual one whatever the login's is,
/// so that the parents of a directory that is made for a service can be entered by it.
pub fn harden() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        hook(info);
        std::process::abort();
    }));
    let _previous = rustix::process::umask(Mode::WGRP | Mode::WOTH);
    let maximum = rustix::process::getrlimit(Resource::Core).maximum;
    let none = Rlimit {
        current: Some(0),
        maximum,
    };
    // Each covers what the other does not: a core pattern that is a pipe ignores a limit of 0. Both work for any
    // user; where a sandbox forbids one, the agent serves without it.
    let _limited = rustix::process::setrlimit(Resource::Core, none).is_ok();
    let _hidden = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok();
}
