//! Passwords of all characters in the files of a real Redis and a real Sentinel.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use protocol::{Encoding, Reference, Text};
use types::Secret;

use crate::client::until;

struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts a server on a file; `None` where it ends instead of listening.
fn start(file: &Path, port: u16, options: &[&str]) -> Option<Server> {
    let child = Command::new("redis-server")
        .arg(file)
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed: apt-get install redis-server");
    let mut server = Server { child, port };
    let mut ended = false;
    until("redis-server listens or ends", || {
        ended = server.child.try_wait().unwrap().is_some();
        ended || TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    (!ended).then_some(server)
}

impl Server {
    /// The first line of each command's reply.
    fn say(&self, commands: &[&[&str]]) -> Vec<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut replies = Vec::new();
        for words in commands {
            let mut request = format!("*{}\r\n", words.len()).into_bytes();
            for word in *words {
                write!(request, "${}\r\n{word}\r\n", word.len()).unwrap();
            }
            stream.write_all(&request).unwrap();
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            replies.push(line.trim_end().to_owned());
        }
        replies
    }
}

const ODD: [&str; 5] = [
    "a \"quoted\" one with \\ and ' and more",
    "#comment; %d $HOME {{ x }} ]]> <&>",
    "\u{e4}\u{f6}\u{fc}\u{df}\u{1f511}-not-ascii-at-all",
    " blanks at both ends and\u{a0}within ",
    "\\x41\\n\\\"",
];

#[test]
fn redis_asks_for_the_password_that_its_file_was_given_and_its_own_rewrite_is_recognised() {
    for value in ODD {
        let home = tempfile::tempdir().unwrap();
        let (file, port) = (home.path().join("redis.conf"), free_port());
        let id = "file:pw".parse().unwrap();
        let secret = Secret::new(value);
        let text = Text::new(format!(
            "port {port}\nbind 127.0.0.1\nsave \"\"\ndir {}\nrequirepass \"{}\"\n",
            home.path().display(),
            Text::secret_in(Encoding::Redis, &id)
        ));
        std::fs::write(&file, text.reveal(|_| Some(&secret), b"").unwrap()).unwrap();
        let server = start(&file, port, &[]).expect("it starts");
        let replies = server.say(&[&["AUTH", value], &["CONFIG", "REWRITE"]]);
        assert_eq!(replies, ["+OK", "+OK"], "{value}");
        assert!(server.say(&[&["AUTH", "another"]])[0].starts_with("-WRONGPASS"));
        let known = [(Reference::written(&id, Encoding::Redis), secret)];
        let rewritten = Text::conceal(&std::fs::read(&file).unwrap(), &known, &[]).unwrap();
        assert!(
            rewritten
                .as_str()
                .contains("requirepass \"⟪secret/redis:file:pw⟫\""),
            "{rewritten}"
        );
    }
}

/// Whether a Sentinel that was told a password starts again from the file that it wrote.
fn sentinel_starts_again(value: &str) -> bool {
    let home = tempfile::tempdir().unwrap();
    let (file, port) = (home.path().join("sentinel.conf"), free_port());
    std::fs::write(
        &file,
        format!("port {port}\nbind 127.0.0.1\ndir {}\n", home.path().display()),
    )
    .unwrap();
    let server = start(&file, port, &["--sentinel"]).expect("it starts");
    let replies = server.say(&[
        &["SENTINEL", "MONITOR", "m", "127.0.0.1", "1", "1"],
        &["SENTINEL", "SET", "m", "auth-pass", value],
    ]);
    assert_eq!(replies, ["+OK", "+OK"]);
    drop(server);
    let again = start(&file, port, &["--sentinel"]);
    again.is_some() && std::fs::read_to_string(&file).unwrap().contains(value)
}

/// Why the passwords of `kvrocks` have neither blanks nor quotes.
#[test]
fn sentinel_does_not_start_again_with_a_password_of_several_words() {
    assert!(sentinel_starts_again("a-word#of;all%other$characters{{]]><&>"));
    assert!(!sentinel_starts_again("a password of words"));
    assert!(!sentinel_starts_again("half\"quoted"));
}
