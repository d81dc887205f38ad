//! Every input that is kept, through the target that it belongs to: what fuzzing found once is never found again.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests fail and print as tests do"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fuzzing::{TARGETS, Target};

/// An input of some kilobytes is done in milliseconds; this is for a machine that has other things to do.
const SLOW: Duration = Duration::from_secs(20);

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The inputs in fuzz/KIND/TARGET, with their names.
fn inputs(kind: &str, target: &Target) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(fuzz().join(kind).join(target.name)) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.display().to_string(), fs::read(&path).unwrap())
        })
        .collect();
    found.sort();
    found
}

fn seeds(target: &Target) -> Vec<(String, Vec<u8>)> {
    let seeds = (target.seeds)().into_iter().enumerate();
    seeds
        .map(|(at, input)| (format!("{} seed {at}", target.name), input))
        .collect()
}

/// Runs in a thread with the stack of a main thread, which is what the programs have.
fn replay(target: &'static Target, all: Vec<(String, Vec<u8>)>) {
    let work = move || {
        for (name, input) in all {
            // A stack overflow ends the test without a word: say before what runs.
            println!("{name}");
            let began = Instant::now();
            (target.run)(&input);
            let took = began.elapsed();
            assert!(took < SLOW, "{name} takes {took:?}");
        }
    };
    let thread = std::thread::Builder::new()
        .stack_size(8 << 20)
        .spawn(work)
        .unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn every_kept_input_is_survived() {
    for target in TARGETS {
        for kind in ["corpus", "found"] {
            replay(target, inputs(kind, target));
        }
        replay(target, seeds(target));
    }
}

#[test]
fn each_target_has_an_input_that_it_takes() {
    for target in TARGETS {
        let all = inputs("corpus", target).into_iter().chain(seeds(target));
        let taken = all.filter(|(_, input)| (target.run)(input)).count();
        assert!(
            taken > 0,
            "{} takes none of its inputs: fuzzing it would find nothing",
            target.name
        );
    }
}

#[test]
fn each_seed_of_a_frame_is_taken() {
    for target in TARGETS {
        for (name, input) in seeds(target) {
            assert!((target.run)(&input), "{name}");
        }
    }
}

#[test]
fn each_target_has_a_program_and_each_program_a_target() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let programs: BTreeSet<String> = fs::read_dir(fuzz().join("fuzz_targets"))
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(programs, targets);
    for name in &targets {
        let program = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(
            program.contains(&format!("fuzzing::run(\"{name}\", input)")),
            "{name}"
        );
        assert!(
            manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")),
            "{name}"
        );
    }
    for kind in ["corpus", "found"] {
        for entry in fs::read_dir(fuzz().join(kind)).into_iter().flatten() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(targets.contains(&name), "fuzz/{kind}/{name} belongs to no target");
        }
    }
}
