//! Servers that want to hurt the agent: replies without an end, replies within replies, replies byte by byte.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use protocol::facts::{
    HttpEndpoint, HttpFact, HttpQuery, HttpRequest, MongoCommand, MongoFact, MongoQuery, OsQuery,
    RespCommand, RespFact, RespQuery, SsdbCommand, SsdbFact, SsdbQuery, WordsFact, WordsQuery,
};
use protocol::{Fact, FactQuery, Query};

use crate::Client;

/// Well above every limit of the agent, and well below for ever.
const LATE: Duration = Duration::from_secs(30);

/// A server that treats each connection as a test says, after the first bytes of the client came.
fn server(serve: impl Fn(&mut TcpStream) -> std::io::Result<()> + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let serve = serve.clone();
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let heard = stream.read(&mut [0; 4096]);
                // The agent may hang up in the middle; then this is over.
                let _over = heard.and_then(|_| serve(&mut stream));
                // It keeps the connection open, as long as the agent does.
                let _heard = stream.read(&mut [0; 1]);
            });
        }
    });
    port
}

/// A server that says this, again and again.
fn endless(part: Vec<u8>) -> u16 {
    server(move |stream| {
        loop {
            stream.write_all(&part)?;
        }
    })
}

/// A server that says this, a byte at a time, and then goes on with its last byte.
fn drip(bytes: &'static [u8]) -> u16 {
    server(move |stream| {
        let last = bytes.last().copied().unwrap_or_default();
        for byte in bytes.iter().copied().chain(std::iter::repeat(last)) {
            stream.write_all(&[byte])?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    })
}

fn resp(port: u16) -> FactQuery {
    RespQuery {
        address: "127.0.0.1".to_owned(),
        port,
        password: None,
        commands: vec![RespCommand::new(["INFO"])],
    }
    .wrap()
}

fn ssdb(port: u16) -> FactQuery {
    SsdbQuery {
        address: "127.0.0.1".to_owned(),
        port,
        password: None,
        commands: vec![SsdbCommand::new(["info"])],
    }
    .wrap()
}

fn mongo(port: u16) -> FactQuery {
    MongoQuery {
        address: "127.0.0.1".to_owned(),
        port,
        user: None,
        or_as_nobody: false,
        commands: vec![MongoCommand::new("hello", 1)],
    }
    .wrap()
}

fn words(port: u16) -> FactQuery {
    WordsQuery {
        address: "127.0.0.1".to_owned(),
        port,
        words: vec!["mntr".to_owned()],
    }
    .wrap()
}

fn http(port: u16) -> FactQuery {
    let at = HttpEndpoint {
        address: "127.0.0.1".to_owned(),
        port,
        account: None,
    };
    HttpQuery {
        at,
        request: HttpRequest::get("/ping"),
        limit_ms: 3000,
    }
    .wrap()
}

/// Why a query has no reply.
fn why(answer: &Result<Fact, protocol::FactError>) -> String {
    match answer {
        Err(error) => error.to_string(),
        Ok(
            Fact::Resp(RespFact::Down(why))
            | Fact::Ssdb(SsdbFact::Down(why))
            | Fact::Mongo(MongoFact::Down(why))
            | Fact::Words(WordsFact::Down(why))
            | Fact::Http(HttpFact::Down(why)),
        ) => why.words.clone(),
        other => panic!("{other:?}"),
    }
}

/// Asks all at once, and the operating system with them, whose answer must arrive.
fn ask(queries: Vec<FactQuery>) -> (Vec<String>, Duration) {
    let mut client = Client::start();
    let count = queries.len();
    let began = Instant::now();
    let mut all = vec![OsQuery.wrap()];
    all.extend(queries);
    let answers = client.gather(all);
    assert!(matches!(answers[0], Ok(Fact::Os(_))), "{:?}", answers[0]);
    assert_eq!(answers.len(), count + 1);
    let took = began.elapsed();
    // It lives on.
    assert!(client.ask(&OsQuery).is_ok());
    (answers[1..].iter().map(why).collect(), took)
}

/// A message of MongoDB's protocol that answers the first request.
fn op_msg(document: &[u8]) -> Vec<u8> {
    let mut message = u32::try_from(21 + document.len()).unwrap().to_le_bytes().to_vec();
    for number in [7, 1, 2013_i32] {
        message.extend(number.to_le_bytes());
    }
    message.extend([0; 5]);
    message.extend(document);
    message
}

/// A document within a document, so many times.
fn nested_document(levels: usize, tag: u8) -> Vec<u8> {
    let mut document = Vec::new();
    for level in (1..=levels).rev() {
        // Each has its length, and the tag and the empty name of the one within; the ends come last.
        document.extend(u32::try_from(7 * level - 2).unwrap().to_le_bytes());
        if level > 1 {
            document.extend([tag, 0]);
        }
    }
    document.extend(vec![0; levels]);
    document
}

#[test]
fn nested_replies_are_errors_of_their_queries() {
    let resp_port = server(|stream| stream.write_all(&b"*1\r\n".repeat(20_000)));
    let documents = server(|stream| stream.write_all(&op_msg(&nested_document(12_000, 3))));
    let arrays = server(|stream| stream.write_all(&op_msg(&nested_document(12_000, 4))));
    let (errors, _) = ask(vec![resp(resp_port), mongo(documents), mongo(arrays)]);
    assert_eq!(errors, ["its reply nests deeper than 64 levels"; 3]);
}

#[test]
fn replies_that_are_mostly_overhead_are_errors_of_their_queries() {
    // Fifteen MiB of the shortest values there are.
    let values = server(|stream| {
        stream.write_all(b"*5000000\r\n")?;
        stream.write_all(&b"+\r\n".repeat(5_000_000))
    });
    let items = server(|stream| {
        stream.write_all(&b"0\n\n".repeat(5_000_000))?;
        stream.write_all(b"\n")
    });
    let elements = server(|stream| {
        let count = 7_000_000;
        let inner = u32::try_from(5 + 2 * count).unwrap();
        let mut document = (inner + 7).to_le_bytes().to_vec();
        document.extend([4, 0]);
        document.extend(inner.to_le_bytes());
        document.extend([10, 0].repeat(count));
        document.extend([0, 0]);
        stream.write_all(&op_msg(&document))
    });
    let (errors, _) = ask(vec![resp(values), ssdb(items), mongo(elements)]);
    assert_eq!(errors, ["its answer takes more than 160 MiB"; 3]);
}

#[test]
fn replies_without_an_end_are_errors_of_their_queries() {
    let queries = vec![
        resp(endless(b"+OK and so on".to_vec())),
        ssdb(endless(b"2\nok\n".to_vec())),
        ssdb(endless(b"\n".to_vec())),
        http(endless(b"HTTP/1.0 200 OK\r\nX: y\r\n".to_vec())),
    ];
    let (errors, took) = ask(queries);
    assert!(errors.iter().all(|error| !error.is_empty()));
    assert!(took < LATE, "{took:?}");
    // What a word is answered with is cut.
    let port = endless(b"zk_version 3\n".to_vec());
    let answer = Client::start().gather(vec![words(port)]);
    assert!(matches!(&answer[0], Ok(Fact::Words(WordsFact::Replies(_)))));
}

#[test]
fn replies_byte_by_byte_end_within_the_time_of_their_queries() {
    let queries = vec![
        resp(drip(b"$1000\r\nx")),
        ssdb(drip(b"1000\nx")),
        mongo(drip(&[200, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0xdd, 7, 0, 0, 0])),
        words(drip(b"x")),
        http(drip(b"HTTP/1.0 200 OK\r\n\r\nx")),
    ];
    let (errors, took) = ask(queries);
    for error in errors {
        assert!(error.contains("it did not answer in time"), "{error}");
    }
    assert!(took < LATE, "{took:?}");
}
