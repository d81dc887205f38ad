//! What keeps the agent's input, as sudo's `log_input` does, keeps nothing of the secrets in it.

use std::fs;
use std::process::Command;

use protocol::{FileState, Operation, Request, Response, Text};
use types::{Secret, SecretId};

use crate::Client;
use crate::client::{self, write_file};

const VALUE: &str = "S3cr3t-value-of-the-password-0123";

/// An agent whose input is written down before it reaches it.
struct Logged {
    client: Client,
    log: tempfile::TempDir,
}

impl Logged {
    fn start() -> Self {
        let log = tempfile::tempdir().unwrap();
        let path = log.path().join("input");
        let client = Client::start_by(|arguments| {
            let mut command = Command::new("sh");
            command
                .args(["-c", "log=$1; shift; tee \"$log\" | \"$@\"", "sh"])
                .arg(&path)
                .arg(client::binary())
                .args(arguments);
            command
        });
        Self { client, log }
    }

    /// Everything that the agent was told so far.
    fn heard(&self) -> Vec<u8> {
        fs::read(self.log.path().join("input")).unwrap()
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_log_of_the_agents_input_has_no_secret_that_an_apply_writes() {
    let mut agent = Logged::start();
    let id: SecretId = "file:pw".parse().unwrap();
    agent.client.hand_over(&[("file:pw", VALUE)]);
    let path = agent.client.home.path().join("conf");
    let text = format!("user app\npassword {}\n", Text::secret(&id));
    let write = write_file(&path, &text, FileState::Absent);
    agent.client.act(write).unwrap();
    let copy = agent.client.home.path().join("copy");
    let tee = Operation::Run {
        commands: vec![protocol::Command {
            argv: vec!["tee".to_owned(), copy.to_str().unwrap().to_owned()],
            stdin: Some(Text::secret(&id)),
        }],
    };
    agent.client.act(tee).unwrap();
    // They arrived, and the log is one of all that was said.
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!("user app\npassword {VALUE}\n")
    );
    assert_eq!(fs::read_to_string(&copy).unwrap(), VALUE);
    let heard = agent.heard();
    assert!(holds(&heard, "user app") && holds(&heard, "file:pw"));
    assert!(!holds(&heard, VALUE), "the value is in the log");
    assert!(!agent.client.has_said(VALUE));
}

#[test]
fn what_was_sealed_for_one_agent_is_of_no_use_to_the_next() {
    let mut first = Client::start();
    let mut second = Client::start();
    assert_ne!(first.hello.key, second.hello.key, "each makes its own key");
    let secrets: [(SecretId, Secret); 1] = [("file:pw".parse().unwrap(), Secret::new(VALUE))];
    let sealed = sealing::seal(&first.hello.key, &secrets).unwrap();
    assert_eq!(first.request(Request::Secrets(sealed.clone())), Response::Ready);
    let Response::Failed(why) = second.request(Request::Secrets(sealed)) else {
        panic!("it took what was sealed for another");
    };
    assert!(why.contains("not sealed for this agent"), "{why}");
}
