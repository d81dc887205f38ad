//! A controller of one agent, small enough for tests: it keeps every byte that the agent sent.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use protocol::frame::{self, Decoder, Message};
use protocol::{
    Action, ActionError, ActionId, ActionRequest, Change, Fact, FactError, FactQuery, FileState, Hello,
    LockHolder, Operation, Precondition, Query, Request, RequestId, Response, Text, ToAgent, ToController,
};
use tempfile::TempDir;
use types::Secret;

/// How long a test waits for an answer before it fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// The agent under test: the one that was just built, or another build of it, such as the static one that is released.
pub(crate) fn binary() -> OsString {
    std::env::var_os("CLUSTERCTL_TEST_AGENT").unwrap_or_else(|| env!("CARGO_BIN_EXE_clusterctl-agent").into())
}

/// The agent under test with these arguments, in an environment of the test's making.
fn prepared(arguments: &[OsString], prepare: impl FnOnce(&mut Command)) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments);
    prepare(&mut command);
    command
}

pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    frames: Receiver<Vec<u8>>,
    decoder: Decoder,
    answers: HashMap<RequestId, Response>,
    next: RequestId,
    actions: u32,
    /// Everything that the agent said.
    pub(crate) said: Vec<u8>,
    pub(crate) hello: Hello,
    /// Where it keeps its things.
    pub(crate) home: TempDir,
    /// Where its lock is, and that of the agents after it.
    run: Arc<TempDir>,
}

impl Client {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// Starts an agent in an environment of the test's making.
    pub(crate) fn start_with(prepare: impl FnOnce(&mut Command)) -> Self {
        Self::start_by(|arguments| prepared(arguments, prepare))
    }

    /// Starts what starts an agent with these arguments, and passes its input and output through.
    pub(crate) fn start_by(start: impl FnOnce(&[OsString]) -> Command) -> Self {
        let home = tempfile::tempdir().unwrap();
        let run = Arc::new(tempfile::tempdir().unwrap());
        Self::start_at(home, run, start)
    }

    fn start_at(home: TempDir, run: Arc<TempDir>, start: impl FnOnce(&[OsString]) -> Command) -> Self {
        let mut command = start(&[
            "--backups".into(),
            home.path().join("backups").into(),
            "--lock".into(),
            run.path().join("lock").into(),
        ]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        let mut output = child.stdout.take().unwrap();
        let (sender, frames) = channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let hello = Hello {
            version: 0,
            pid: 0,
            uid: 0,
            key: protocol::SealingKey([0; 32]),
        };
        let mut client = Self {
            child,
            input,
            frames,
            decoder: Decoder::default(),
            answers: HashMap::new(),
            next: 0,
            actions: 0,
            said: Vec::new(),
            hello,
            home,
            run,
        };
        client.hello = client.message();
        client
    }

    fn message<T: Message + serde::de::DeserializeOwned>(&mut self) -> T {
        loop {
            if let Some(message) = self.decoder.next().unwrap() {
                return message;
            }
            let bytes = self.frames.recv_timeout(PATIENCE).expect("the agent answers");
            self.said.extend_from_slice(&bytes);
            self.decoder.push(&bytes);
        }
    }

    /// Sends a request without waiting for its answer.
    pub(crate) fn send(&mut self, request: Request) -> RequestId {
        let id = self.next;
        self.next += 1;
        let frame = frame::encode(&ToAgent { id, request }).unwrap();
        self.input.as_mut().unwrap().write_all(&frame).unwrap();
        id
    }

    /// Sends what may be a part of a frame only.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Waits for the answer to a request.
    pub(crate) fn answer(&mut self, id: RequestId) -> Response {
        loop {
            if let Some(response) = self.answers.remove(&id) {
                return response;
            }
            let ToController { id, response } = self.message();
            self.answers.insert(id, response);
        }
    }

    pub(crate) fn request(&mut self, request: Request) -> Response {
        let id = self.send(request);
        self.answer(id)
    }

    pub(crate) fn hand_over(&mut self, secrets: &[(&str, &str)]) {
        let secrets = secrets
            .iter()
            .map(|(id, value)| (id.parse().unwrap(), Secret::new(*value)));
        let sealed = sealing::seal(&self.hello.key, &secrets.collect::<Vec<_>>()).unwrap();
        let answer = self.request(Request::Secrets(sealed));
        assert_eq!(answer, Response::Ready);
    }

    pub(crate) fn gather(&mut self, queries: Vec<FactQuery>) -> Vec<Result<Fact, FactError>> {
        match self.request(Request::Gather(queries)) {
            Response::Facts(facts) => facts,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn ask<Q: Query>(&mut self, query: &Q) -> Result<Q::Fact, FactError>
    where
        Q::Fact: Clone,
    {
        let fact = self.gather(vec![query.wrap()]).remove(0)?;
        Ok(Q::pick(&fact).unwrap().clone())
    }

    pub(crate) fn act(&mut self, operation: Operation) -> Result<Change, ActionError> {
        self.act_if(Vec::new(), operation)
    }

    pub(crate) fn act_if(
        &mut self,
        only_if: Vec<Precondition>,
        operation: Operation,
    ) -> Result<Change, ActionError> {
        let action = Action {
            only_if,
            operation,
            limit_ms: 30_000,
        };
        self.perform(action)
    }

    /// Makes a change, under the run lock and an id of its own.
    pub(crate) fn perform(&mut self, action: Action) -> Result<Change, ActionError> {
        let id = self.begin(action);
        match self.answer(id) {
            Response::Acted(result) => result,
            other => panic!("{other:?}"),
        }
    }

    /// Sends an action of its own id, and does not wait for what comes of it.
    pub(crate) fn begin(&mut self, action: Action) -> RequestId {
        self.take_lock(false);
        self.actions += 1;
        let number = self.actions;
        self.send(act(number, false, action))
    }

    /// Takes the run lock, which nobody else may have.
    pub(crate) fn take_lock(&mut self, had_lock: bool) {
        let holder = holder("test@here");
        let answer = self.request(Request::Lock { holder, had_lock });
        assert_eq!(answer, Response::Locked);
    }

    /// Kills the agent, as nothing but a defect or an operator does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Another agent, which takes over where this one was: it has the same lock and the same record.
    pub(crate) fn successor(&self) -> Self {
        self.successor_with(|_| {})
    }

    /// The same, in an environment of the test's making.
    pub(crate) fn successor_with(&self, prepare: impl FnOnce(&mut Command)) -> Self {
        let run = Arc::clone(&self.run);
        Self::start_at(tempfile::tempdir().unwrap(), run, |arguments| {
            prepared(arguments, prepare)
        })
    }

    /// The record of the run that has the lock.
    pub(crate) fn record(&self) -> PathBuf {
        self.run.path().join("lock.actions")
    }

    /// Takes the run lock as soon as it is free.
    pub(crate) fn wait_for_lock(&mut self) {
        let holder = holder("test@here");
        until("the lock is free", || {
            let holder = holder.clone();
            self.request(Request::Lock {
                holder,
                had_lock: true,
            }) == Response::Locked
        });
    }

    /// Ends the connection, as a controller that died does.
    pub(crate) fn hang_up(&mut self) {
        self.input = None;
    }

    /// Waits for the agent's end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the agent does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether the agent ever sent this, in any frame.
    pub(crate) fn has_said(&self, text: &str) -> bool {
        self.said
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.hang_up();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Who holds the lock of the one run that there is in tests.
pub(crate) fn holder(who: &str) -> LockHolder {
    LockHolder {
        who: who.to_owned(),
        since: "2026-11-24T08:51:10Z".to_owned(),
        run: "r1".parse().unwrap(),
    }
}

/// The request for an action.
pub(crate) fn act(number: u32, is_repeated: bool, action: Action) -> Request {
    Request::Act(Box::new(ActionRequest {
        id: ActionId {
            node: "node".parse().unwrap(),
            number,
        },
        is_repeated,
        action,
    }))
}

/// Waits until something is so, or fails the test.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process runs; a zombie does not.
pub(crate) fn is_alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or_default().starts_with('Z'))
}

/// A PATH whose first `apt-get` does what a script says.
pub(crate) fn fake_apt(directory: &TempDir, script: &str) -> String {
    let program = directory.path().join("apt-get");
    let mut file = fs::File::create(&program).unwrap();
    writeln!(file, "#!/bin/sh\n{script}").unwrap();
    drop(file);
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    format!("{}:{path}", directory.path().display())
}

/// Who owns what the tests make: names that are there whoever runs them.
pub(crate) fn owner_of(path: &Path) -> (String, String) {
    let meta = fs::metadata(path).unwrap();
    let name = |database: &str, id: u32| {
        let output = Command::new("getent")
            .args([database, &id.to_string()])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split(':').next().unwrap().to_owned()
    };
    (name("passwd", meta.uid()), name("group", meta.gid()))
}

/// Writes a file with the usual owner.
pub(crate) fn write_file(path: &Path, text: &str, was: FileState) -> Operation {
    let (owner, group) = owner_of(path.parent().unwrap());
    Operation::WriteFile {
        path: path.to_str().unwrap().to_owned(),
        text: Text::new(text),
        mode: 0o640,
        owner,
        group,
        was,
        trial: None,
    }
}

/// Every file below a directory.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
