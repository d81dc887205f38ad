//! Replies of a MongoDB server, without the secrets in them.

use std::time::Duration;

use protocol::FactError;
use protocol::facts::{Login, MongoFact, MongoQuery};
use secrets::Secrets;

use super::answer::unknown;
use crate::bounds::{Share, Time};
use crate::mongo::{ClientError, Connection, fields, reply};

/// How long a server may take to answer all of a query.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn observe(
    secrets: &Secrets,
    query: &MongoQuery,
    share: &mut Share<'_>,
) -> Result<MongoFact, FactError> {
    ask(secrets, query, share).or_else(|error| match error {
        ClientError::Silent(silence) => Ok(MongoFact::Down(silence)),
        ClientError::Denied(error) => Ok(MongoFact::Denied(error)),
        error => Err(unknown(error)),
    })
}

fn ask(secrets: &Secrets, query: &MongoQuery, share: &mut Share<'_>) -> Result<MongoFact, ClientError> {
    let mut connection = Connection::open(&query.address, query.port, Time::within(LIMIT))?;
    let login = match &query.user {
        None => Login::Nobody,
        Some(user) => match connection.log_in(secrets, user, share) {
            Ok(()) => Login::Accepted,
            Err(ClientError::Denied(error)) if query.or_as_nobody && error.is_refused_login() => {
                Login::Refused(error)
            }
            Err(error) => return Err(error),
        },
    };
    let mut replies = Vec::with_capacity(query.commands.len());
    for command in &query.commands {
        let mut document = fields(secrets, &command.fields)?;
        // A question is for this very member, whatever its role.
        document.insert("$readPreference", bson::doc! { "mode": "primaryPreferred" });
        let said = connection.ask(&command.db, document, share)?;
        replies.push(said.map(|document| reply(secrets, command, document)));
    }
    Ok(MongoFact::Replies { login, replies })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use bson::{Document, doc};
    use protocol::facts::{Bson, MongoCommand, MongoError, MongoUser, Silence};
    use types::Secret;

    use super::*;
    use crate::bounds::Memory;

    fn observe(secrets: &Secrets, query: &MongoQuery) -> Result<MongoFact, FactError> {
        super::observe(secrets, query, &mut Memory::default().share())
    }

    /// A server that answers each command of one connection as a test says; returns its port.
    fn server(mut answer: impl FnMut(&Document) -> Document + Send + 'static) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut header = [0; 16];
            while stream.read_exact(&mut header).is_ok() {
                let mut body = vec![0; u32::from_le_bytes(header[..4].try_into().unwrap()) as usize - 16];
                stream.read_exact(&mut body).unwrap();
                let reply = answer(&Document::from_reader(&body[5..]).unwrap())
                    .to_vec()
                    .unwrap();
                let mut message = u32::try_from(21 + reply.len()).unwrap().to_le_bytes().to_vec();
                message.extend([7, 0, 0, 0]);
                message.extend(&header[4..8]);
                message.extend(2013_i32.to_le_bytes());
                message.extend([0; 5]);
                message.extend(reply);
                stream.write_all(&message).unwrap();
            }
        });
        port
    }

    fn query(port: u16, or_as_nobody: bool) -> MongoQuery {
        MongoQuery {
            address: "127.0.0.1".into(),
            port,
            user: Some(MongoUser {
                name: "admin".into(),
                password: "pw".parse().unwrap(),
                auth_db: "admin".into(),
            }),
            or_as_nobody,
            commands: vec![MongoCommand::new("replSetGetStatus", 1)],
        }
    }

    fn secrets() -> Secrets {
        Secrets::default().with([("pw".parse().unwrap(), Secret::new("a-password"))])
    }

    fn refused() -> Document {
        doc! { "ok": 0.0, "code": 18, "codeName": "AuthenticationFailed", "errmsg": "Authentication failed." }
    }

    #[test]
    fn who_is_refused_may_go_on_as_nobody() {
        let answer = |command: &Document| {
            if command.contains_key("saslStart") {
                return refused();
            }
            assert_eq!(command.get_str("$db").unwrap(), "admin");
            doc! { "ok": 0.0, "code": 94, "codeName": "NotYetInitialized", "errmsg": "no a-password" }
        };
        let MongoFact::Replies { login, replies } =
            observe(&secrets(), &query(server(answer), true)).unwrap()
        else {
            panic!()
        };
        assert!(matches!(login, Login::Refused(MongoError { code: 18, .. })));
        assert_eq!(replies[0].as_ref().unwrap_err().code, 94);
        let fact = observe(&secrets(), &query(server(answer), false)).unwrap();
        assert!(matches!(fact, MongoFact::Denied(MongoError { code: 18, .. })));
    }

    #[test]
    fn another_reason_to_refuse_a_login_is_none_to_go_on() {
        let fact = observe(
            &secrets(),
            &query(
                server(|_| doc! { "ok": 0.0, "code": 334, "errmsg": "no such mechanism" }),
                true,
            ),
        );
        assert!(matches!(
            fact,
            Ok(MongoFact::Denied(MongoError { code: 334, .. }))
        ));
    }

    #[test]
    fn a_server_that_does_not_prove_itself_gets_no_command() {
        let port = server(|command| {
            let Some(bson::Bson::Binary(first)) = command.get("payload") else {
                panic!("{command}")
            };
            let first = String::from_utf8(first.bytes.clone()).unwrap();
            let answer = match first.split_once("r=") {
                Some((start, nonce)) if start.starts_with("n,,") => format!("r={nonce}x,s=W22Z,i=4096"),
                _ => "v=AAAA".to_owned(),
            };
            let payload = bson::Binary {
                subtype: bson::spec::BinarySubtype::Generic,
                bytes: answer.into_bytes(),
            };
            doc! { "ok": 1.0, "conversationId": 1, "done": false, "payload": payload }
        });
        let fact = observe(&secrets(), &query(port, true)).unwrap();
        assert_eq!(
            fact,
            MongoFact::Down(Silence::foreign("it does not prove that it knows the password"))
        );
    }

    #[test]
    fn nobody_asks_without_a_login() {
        let query = MongoQuery {
            user: None,
            ..query(server(|_| doc! { "ok": 1.0, "set": "rs0" }), false)
        };
        let fact = observe(&Secrets::default(), &query).unwrap();
        let set = Bson::doc([("ok", Bson::double(1.0)), ("set", "rs0".into())]);
        assert_eq!(
            fact,
            MongoFact::Replies {
                login: Login::Nobody,
                replies: vec![Ok(set)]
            }
        );
    }

    #[test]
    fn nobody_listens_or_speaks_something_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let talk = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
        });
        let fact = observe(&secrets(), &query(port, true)).unwrap();
        assert_eq!(
            fact,
            MongoFact::Down(Silence::foreign("it does not speak MongoDB's protocol"))
        );
        talk.join().unwrap();
        let fact = observe(&secrets(), &query(port, true)).unwrap();
        assert_eq!(fact, MongoFact::Down(Silence::refused()));
    }
}
