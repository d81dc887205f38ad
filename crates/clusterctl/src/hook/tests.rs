//! The program before a disruption: it is missing, refuses, hangs, agrees; and what it sees and says.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Instant;

use plan::{Budget, Consent, Gate, Node};
use tempfile::TempDir;
use types::GroupId;

use super::*;

const PLAN: &str = "{\"format\":1}\n";
const SECRET: &str = "Kc7mT0pQxVb3nR9sLwZe5yHuJ2dGfA81";

/// A folder with a script, as an operator writes it.
struct Rig {
    folder: TempDir,
    words: Vec<String>,
}

impl Rig {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agree");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            folder,
            words: vec!["./agree".to_owned(), "two words; $HOME".to_owned()],
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    async fn ask(&self, limit: Duration, plan: &str) -> Result<(), HookError> {
        let secrets = [("env:X".parse().unwrap(), Secret::new(SECRET))];
        let hook = Hook {
            words: &self.words,
            folder: self.folder.path(),
            secrets: &secrets,
            limit,
        };
        hook.ask(plan.to_owned()).await
    }

    async fn refusal(&self) -> String {
        self.ask(LIMIT, PLAN).await.unwrap_err().to_string()
    }
}

/// Waits until the process whose number a script wrote down is gone.
async fn is_gone(rig: &Rig, name: &str) -> bool {
    let began = Instant::now();
    let stat = format!("/proc/{}/stat", rig.read(name).trim());
    // One that was killed and not waited for is gone too; the process that adopts it waits for it in its own time.
    let runs = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    while runs() && began.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    !runs()
}

#[tokio::test]
async fn a_program_that_agrees_was_given_the_plan_and_its_arguments_as_they_are() {
    let rig = Rig::new("cat > plan; printf '%s' \"$1\" > argument; pwd > folder; echo to nobody");
    rig.ask(LIMIT, PLAN).await.unwrap();
    assert_eq!(rig.read("plan"), PLAN);
    assert_eq!(rig.read("argument"), "two words; $HOME", "no shell has read it");
    assert!(
        rig.read("folder")
            .trim_end()
            .ends_with(rig.folder.path().file_name().unwrap().to_str().unwrap())
    );
}

#[tokio::test]
async fn a_plan_that_is_not_read_is_no_reason_to_refuse() {
    let rig = Rig::new("exit 0");
    rig.ask(LIMIT, &PLAN.repeat(1 << 16)).await.unwrap();
}

#[tokio::test]
async fn a_program_that_is_missing_refuses() {
    let mut rig = Rig::new("");
    rig.words[0] = "./disagree".to_owned();
    let error = rig.ask(LIMIT, PLAN).await.unwrap_err();
    assert!(matches!(error, HookError::Start { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "before_disruption: `./disagree` cannot be started, and the run was not begun"
    );
}

#[tokio::test]
async fn a_program_that_others_could_have_written_is_not_run() {
    let rig = Rig::new("touch ran");
    fs::set_permissions(rig.path("agree"), fs::Permissions::from_mode(0o777)).unwrap();
    let error = rig.ask(LIMIT, PLAN).await.unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        why.contains("can be written by others") && !rig.path("ran").exists(),
        "{why}"
    );
}

#[tokio::test]
async fn a_program_that_ends_with_another_status_refuses_with_its_last_words() {
    let rig = Rig::new("for i in 1 2 3 4 5 6 7; do echo no $i >&2; done; exit 3");
    assert_eq!(
        rig.refusal().await,
        "before_disruption: `./agree` refused the run (exit status: 3), and the run was not begun; \
         it said: no 3\nno 4\nno 5\nno 6\nno 7"
    );
    let silent = Rig::new("kill -9 $$").refusal().await;
    assert!(
        silent.contains("refused the run (signal: 9 (SIGKILL))") && !silent.contains("said"),
        "{silent}"
    );
}

#[tokio::test]
async fn what_it_says_is_bounded_and_shows_no_secret() {
    let json = format!("password is {SECRET}, {SECRET}{SECRET}");
    let said = Rig::new(&format!("echo '{json}' >&2; exit 1")).refusal().await;
    assert!(said.ends_with("it said: password is ***, ******"), "{said}");
    // The cut lies within a secret: the rest of that line is not shown.
    let filler = "x".repeat(KEPT - 10);
    let script = format!("printf '%s\\n' '{SECRET}{filler}' >&2; echo end >&2; exit 1");
    let said = Rig::new(&script).refusal().await;
    assert!(said.ends_with("it said: end"), "{said}");
    let long = Rig::new("head -c 1000000 /dev/zero | tr '\\0' y | fold -w 1000 >&2; exit 1")
        .refusal()
        .await;
    assert!(long.len() < 2 * LINES * LINE, "{}", long.len());
}

#[tokio::test]
async fn no_secret_is_in_its_environment() {
    // The test's own environment has none, so a variable that every process has stands for one.
    let path = std::env::var("PATH").unwrap();
    let rig = Rig::new("tr '\\0' '\\n' < /proc/$$/environ > seen");
    let secrets = [("env:PATH".parse().unwrap(), Secret::new(path.as_str()))];
    let hook = Hook {
        words: &rig.words,
        folder: rig.folder.path(),
        secrets: &secrets,
        limit: LIMIT,
    };
    hook.ask(PLAN.to_owned()).await.unwrap();
    let seen = rig.read("seen");
    assert!(
        !seen.is_empty() && !seen.lines().any(|line| line.contains(&path)),
        "{seen}"
    );
}

/// Starts a child of its own, says so, and waits for it.
const HANGS: &str = "echo waiting >&2; sleep 600 & echo $! > child.new; mv child.new child; wait";

#[tokio::test]
async fn one_that_hangs_is_killed_at_the_limit_with_its_children() {
    let rig = Rig::new(HANGS);
    // Long enough for a slow machine to start a shell; nothing is lost where it is shorter.
    let limit = Duration::from_secs(2);
    let error = rig.ask(limit, PLAN).await.unwrap_err();
    assert!(matches!(error, HookError::TimedOut { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "before_disruption: `./agree` did not end within 2s, and the run was not begun; it said: waiting"
    );
    assert!(is_gone(&rig, "child").await);
}

#[tokio::test]
async fn one_that_is_not_waited_for_any_more_is_killed_with_its_children() {
    let rig = Rig::new(HANGS);
    let begun = async {
        while !rig.path("child").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        ended = rig.ask(LIMIT, PLAN) => panic!("{ended:?}"),
        () = begun => {}
    }
    assert!(is_gone(&rig, "child").await);
}

#[tokio::test]
async fn what_it_leaves_behind_with_its_output_open_is_not_waited_for() {
    let rig = Rig::new("setsid sleep 600 & echo $! > child; exit 1");
    let began = Instant::now();
    rig.refusal().await;
    assert!(began.elapsed() < Duration::from_mins(1));
    let child: i32 = rig.read("child").trim().parse().unwrap();
    let child = Pid::from_raw(child).unwrap();
    rustix::process::kill_process(child, Signal::KILL).unwrap();
}

fn graph(disrupts: bool) -> StepGraph {
    let group: GroupId = "mq".parse().unwrap();
    let host: types::HostName = "db1".parse().unwrap();
    let gate = Gate {
        service: None,
        check: "x".to_owned(),
        host: None,
        title: "x".to_owned(),
        watch: std::collections::BTreeMap::new(),
        limit_ms: 1,
    };
    let node = Node {
        id: "mq/x@db1".parse().unwrap(),
        service: None,
        host: host.clone(),
        title: String::new(),
        reason: String::new(),
        action: None,
        preview: None,
        disrupts: disrupts.then(|| group.clone()).into_iter().collect(),
        before: Vec::new(),
        gates: vec![gate],
        needs: BTreeSet::new(),
        rollback: None,
    };
    let budget = Budget {
        members: [host].into(),
        max_unavailable: 1,
        unavailable: BTreeSet::new(),
    };
    StepGraph::new(vec![node], [(group, budget)].into()).unwrap()
}

#[test]
fn it_is_asked_of_disruptions_and_of_what_was_consented_to() {
    let consent = Consent {
        action: "rabbitmq.reset".to_owned(),
        host: "db9".parse().unwrap(),
    };
    let allowed = Options {
        consents: [consent].into(),
        ..Options::default()
    };
    assert!(is_asked(&graph(true), &Options::default()));
    assert!(!is_asked(&graph(false), &Options::default()));
    // Which step a consent was for is not in the plan, so any may be it.
    assert!(is_asked(&graph(false), &allowed));
    assert!(!is_asked(&StepGraph::default(), &allowed));
}
