//! Requests over HTTP to a server that refuses them at first, and that listens at an address of the host's own.

use std::io::{Read, Write};
use std::net::TcpListener;

use protocol::Operation;
use protocol::facts::{HttpEndpoint, HttpFact, HttpQuery, HttpRequest, THIS_HOST};

use crate::Client;

/// Said by ClickHouse 18.16 after a restart of its ZooKeeper.
const OVER: &str = "Code: 999, e.displayText() = Coordination::Exception: Session expired, e.what() = Coordination::Exception";

/// A server on an address that is not the usual loopback: it refuses so many requests, and then says 1.
fn server(refuses: usize, with: &'static str) -> HttpEndpoint {
    let listener = TcpListener::bind("127.0.0.7:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 4096]);
            let (status, body) = if number < refuses {
                ("500 Internal Server Error", with)
            } else {
                ("200 OK", "1\n")
            };
            let _ = write!(
                stream,
                "HTTP/1.0 {status}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    HttpEndpoint {
        address: THIS_HOST.to_owned(),
        port,
        account: None,
    }
}

fn send(at: HttpEndpoint) -> Operation {
    Operation::Http {
        at,
        requests: vec![HttpRequest::post("/", "DROP TABLE IF EXISTS x")],
        again_on: vec!["Code: 999".to_owned()],
    }
}

#[test]
fn a_request_is_sent_again_after_the_words_that_are_named_and_no_others() {
    let mut client = Client::start();
    let change = client.act(send(server(2, OVER))).unwrap();
    assert!(
        change.summary.ends_with(": DROP TABLE IF EXISTS x"),
        "{}",
        change.summary
    );
    let error = client
        .act(send(server(1, "Code: 170, not found")))
        .unwrap_err()
        .to_string();
    assert!(error.contains("500: Code: 170, not found"), "{error}");
}

#[test]
fn a_server_is_found_at_whatever_address_of_the_host_it_listens() {
    let mut client = Client::start();
    let query = |at| HttpQuery {
        at,
        request: HttpRequest::get("/ping"),
        limit_ms: 3000,
    };
    let fact = client.ask(&query(server(0, ""))).unwrap();
    assert_eq!(fact.ok(), Some("1\n"));
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let nobody = HttpEndpoint {
        address: THIS_HOST.to_owned(),
        port: free,
        account: None,
    };
    let fact = client.ask(&query(nobody)).unwrap();
    assert!(matches!(fact, HttpFact::Down(_)), "{fact:?}");
}
