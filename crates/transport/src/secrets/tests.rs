//! What goes to a host, seen from the host and from the wire.

use std::time::Duration;

use protocol::facts::{CommandFact, CommandQuery, FileFact, FileQuery};
use protocol::frame::Decoder;
use protocol::{FactQuery, Query, Request, Response, Text, ToAgent};
use types::HostName;

use super::*;
use crate::fake::{Fake, FakeHost};
use crate::tap::Tap;
use crate::{BoxFuture, Session, SessionError, Transport};

const VALUE: &str = "the-value-of-the-secret-";

fn id(name: &str) -> SecretId {
    name.parse().unwrap()
}

fn store() -> SecretStore {
    ["a", "b", "c"]
        .iter()
        .map(|name| (id(name), Secret::new(format!("{VALUE}{name}"))))
        .collect()
}

fn knowing(names: &[&str]) -> Vec<FactQuery> {
    let ids: Vec<SecretId> = names.iter().map(|name| id(name)).collect();
    vec![FileQuery::text("/etc/x").knowing(&ids).wrap()]
}

fn command() -> FactQuery {
    CommandQuery {
        argv: Vec::new(),
        limit_ms: 1,
    }
    .wrap()
}

/// A host that notes what it learns, in order, and answers commands with whatever it likes.
#[derive(Clone, Default)]
struct Host {
    learned: Arc<Mutex<Vec<(SecretId, Secret)>>>,
    says: String,
    refuses: bool,
}

impl FakeHost for Host {
    fn answer(&self, _host: HostName, request: Request) -> BoxFuture<'static, Option<Response>> {
        let says = self.says.clone();
        Box::pin(async move {
            let Request::Gather(queries) = request else {
                return None;
            };
            let answers = queries.iter().map(|query| match query {
                FactQuery::Command(_) => Ok(Fact::Command(CommandFact {
                    status: 0,
                    stdout: says.clone(),
                    stderr: String::new(),
                })),
                _ => Ok(Fact::File(FileFact::Absent)),
            });
            Some(Response::Facts(answers.collect()))
        })
    }

    fn learn(
        &self,
        _host: HostName,
        secrets: Vec<(SecretId, Secret)>,
    ) -> BoxFuture<'static, Option<Response>> {
        let answer = if self.refuses {
            Response::Failed("not today".to_owned())
        } else {
            self.learned.lock().unwrap().extend(secrets);
            Response::Ready
        };
        Box::pin(async move { Some(answer) })
    }
}

impl Host {
    fn learned(&self) -> Vec<String> {
        let learned = self.learned.lock().unwrap();
        learned.iter().map(|(id, _)| id.to_string()).collect()
    }
}

async fn session(host: &Host) -> (Session, Tap) {
    let tap = Tap::new(Arc::new(Fake::new(Arc::new(host.clone()))));
    let stream = tap.open(&"db1".parse().unwrap()).await.unwrap();
    let session = Session::start_with(stream, store().for_host()).await.unwrap();
    (session, tap)
}

fn heard(tap: &Tap) -> Vec<u8> {
    tap.heard(&"db1".parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_request_is_preceded_by_what_it_refers_to_and_the_agent_lacks() {
    let host = Host::default();
    let (session, tap) = session(&host).await;
    session.gather(knowing(&["a"])).await.unwrap();
    session.gather(knowing(&["b", "a"])).await.unwrap();
    session.gather(knowing(&[])).await.unwrap();
    assert_eq!(host.learned(), ["a", "b"]);
    assert_eq!(host.learned.lock().unwrap()[0].1.expose(), format!("{VALUE}a"));
    let mut decoder = Decoder::default();
    decoder.push(&heard(&tap));
    let mut order = Vec::new();
    while let Some(ToAgent { request, .. }) = decoder.next().unwrap() {
        order.push(matches!(request, Request::Secrets(_)));
    }
    assert_eq!(order, [true, false, true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_made_at_once_do_not_hand_a_secret_over_twice() {
    let host = Host::default();
    let (session, _tap) = session(&host).await;
    let (one, other) = tokio::join!(
        session.gather(knowing(&["a", "b"])),
        session.gather(knowing(&["b", "c"]))
    );
    one.and(other).unwrap();
    assert_eq!(host.learned(), ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn no_value_is_among_the_bytes_that_go_to_a_host() {
    let host = Host::default();
    let (session, tap) = session(&host).await;
    session.gather(knowing(&["a", "b"])).await.unwrap();
    assert_eq!(host.learned(), ["a", "b"], "they arrived");
    let heard = heard(&tap);
    let holds = |text: &str| heard.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("/etc/x"), "it is the wire that was listened to");
    assert!(!holds(VALUE));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_refers_to_an_unknown_secret_is_not_sent() {
    let host = Host::default();
    let (session, tap) = session(&host).await;
    let error = session.gather(knowing(&["a", "other"])).await.unwrap_err();
    assert_eq!(error, SessionError::UnknownSecret(id("other")));
    assert!(heard(&tap).is_empty() && host.learned().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_take_secrets_is_given_up() {
    let host = Host {
        refuses: true,
        ..Host::default()
    };
    let (session, _tap) = session(&host).await;
    let asked = tokio::time::timeout(Duration::from_mins(1), session.gather(knowing(&["a"])));
    let error = asked.await.expect("it hangs").unwrap_err();
    assert_eq!(error, SessionError::Refused("not today".to_owned()));
    assert!(session.is_over());
}

/// A host that was taken over names a secret of another service, so that the plan writes it into a file there.
#[tokio::test(start_paused = true)]
async fn an_answer_that_refers_to_a_secret_that_the_host_never_had_is_not_believed() {
    let answer = async |says: String| {
        let (session, _tap) = session(&Host {
            says,
            ..Host::default()
        })
        .await;
        let mut queries = knowing(&["a"]);
        queries.push(command());
        session.gather(queries).await.unwrap().remove(1)
    };
    let forged = answer(format!("x {} y", Text::secret(&id("b"))))
        .await
        .unwrap_err();
    assert!(forged.message.contains("refers to the secret b"), "{forged}");
    let broken = answer("⟪secret:".to_owned()).await.unwrap_err();
    assert!(broken.message.contains("is rejected"), "{broken}");
    answer(format!("x {} y", Text::secret(&id("a")))).await.unwrap();
}
