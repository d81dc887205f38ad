//! What the stand-in does.

use std::net::{TcpListener, TcpStream};
use std::process::ExitStatus;
use std::time::Duration;

use standins::ssdb::message;

use super::harness::{Mirrors, PASSWORD, ask, ask_often, until};

const OTHER: &str = "fedcba9876543210fedcba9876543210";

#[test]
fn what_is_written_on_one_is_on_all_once_and_survives_a_kill() {
    let mut mirrors = Mirrors::new(3);
    for at in 0..3 {
        mirrors.start(at);
    }
    for at in 0..3 {
        for to in (0..3).filter(|to| *to != at) {
            mirrors.until_status(at, to, "SYNC");
        }
    }
    assert_eq!(mirrors.ask(0, &["set", "a", "1"]), ["ok", "1"]);
    until("it is everywhere", || {
        (1..3).all(|at| mirrors.ask(at, &["get", "a"]) == ["ok", "1"])
    });
    // Before a mirror was told where it stands, it would copy everything again, and not see what was deleted.
    until("all know where they stand", || {
        (0..3).all(|at| (0..3).all(|to| at == to || mirrors.link(at, to).contains("last_seq   : 1\n")))
    });
    mirrors.kill(2);
    mirrors.ask(0, &["set", "b", "2"]);
    mirrors.ask(1, &["del", "a"]);
    mirrors.start(2);
    until("it has what it missed", || {
        mirrors.ask(2, &["get", "b"]) == ["ok", "2"]
    });
    until("and what was deleted", || {
        mirrors.ask(2, &["get", "a"]) == ["not_found"]
    });
    std::thread::sleep(Duration::from_secs(1));
    // Three changes, and none of them went round in circles.
    for at in 0..3 {
        let info = mirrors.ask(at, &["info"]).concat();
        assert!(info.contains("max_seq  : 3"), "{info}");
    }
}

#[test]
fn a_wrong_password_stays_at_init_and_a_lost_master_is_disconnected() {
    let mut mirrors = Mirrors::new(2);
    mirrors.write(1, 1000, OTHER);
    mirrors.start(0);
    mirrors.start(1);
    mirrors.until_status(0, 1, "SYNC");
    mirrors.until_status(1, 0, "INIT");
    mirrors.kill(1);
    mirrors.until_status(0, 1, "DISCONNECTED");
    let port = mirrors.ports[0];
    assert_eq!(
        ask(port, None, &["get", "a"]),
        ["noauth", "authentication required."]
    );
    assert_eq!(ask(port, None, &["auth", OTHER]), ["error", "invalid password"]);
    assert_eq!(mirrors.ask(0, &["nonsense"])[0], "client_error");
}

#[test]
fn a_mirror_whose_position_is_not_in_the_binlog_is_out_of_sync() {
    let mut mirrors = Mirrors::new(2);
    mirrors.write(0, 5, PASSWORD);
    mirrors.start(0);
    mirrors.start(1);
    mirrors.until_status(1, 0, "SYNC");
    mirrors.ask(0, &["set", "a", "1"]);
    until("it came", || mirrors.link(1, 0).contains("last_seq   : 1\n"));
    mirrors.kill(1);
    ask_often(mirrors.ports[0], Some(PASSWORD), &["set", "a", "2"], 10_010);
    mirrors.start(1);
    mirrors.until_status(1, 0, "OUT_OF_SYNC");
    // One that was emptied knows of fewer changes than its mirrors remember of it.
    mirrors.ask(1, &["set", "b", "1"]);
    mirrors.kill(0);
    std::fs::remove_dir_all(mirrors.dir(0)).unwrap();
    std::fs::create_dir(mirrors.dir(0)).unwrap();
    mirrors.kill(1);
    mirrors.start(0);
    mirrors.start(1);
    mirrors.until_status(1, 0, "OUT_OF_SYNC");
}

#[test]
fn it_stalls_when_it_is_told_to_until_it_connects_again() {
    let mut mirrors = Mirrors::new(2);
    mirrors.start(0);
    mirrors.start(1);
    mirrors.until_status(1, 0, "SYNC");
    let control = mirrors.dir(1).join("stall");
    std::fs::write(&control, "db0").unwrap();
    until("it has begun", || !control.exists());
    mirrors.ask(0, &["set", "a", "1"]);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(mirrors.ask(1, &["get", "a"]), ["not_found"]);
    mirrors.until_status(1, 0, "SYNC");
    mirrors.kill(1);
    mirrors.start(1);
    until("it came", || mirrors.ask(1, &["get", "a"]) == ["ok", "1"]);
}

#[test]
fn with_d_it_says_0_before_it_can_fail_and_a_pid_file_stops_it() {
    let mirrors = Mirrors::new(1);
    mirrors.write_pid_file(0);
    let taken = TcpListener::bind(("127.0.0.1", mirrors.ports[0])).unwrap();
    let daemon = || -> ExitStatus { mirrors.command(0).arg("-d").status().unwrap() };
    assert!(daemon().success(), "its port is taken, and it says 0");
    // The child has come as far as its port when its data are there.
    until("it failed", || mirrors.dir(0).join("meta").exists());
    std::thread::sleep(Duration::from_millis(500));
    drop(taken);
    let pid_file = mirrors.dir(0).join("ssdb.pid");
    std::fs::write(&pid_file, "1").unwrap();
    assert_eq!(daemon().code(), Some(1));
    std::fs::remove_file(&pid_file).unwrap();
    assert!(daemon().success());
    until("it answers", || {
        TcpStream::connect(("127.0.0.1", mirrors.ports[0])).is_ok()
    });
    until("it wrote its number", || pid_file.exists());
    assert!(
        mirrors
            .command(0)
            .args(["-s", "stop"])
            .status()
            .unwrap()
            .success()
    );
    assert!(!pid_file.exists());
}

/// Queues are pushed again by every copy, from every master (`slave.cpp`, `backend_sync.cpp`; seen: 20 items, 40, 180); the
/// rest is set again, and stays as it is.
#[test]
fn a_copy_doubles_the_items_of_queues_and_nothing_else() {
    let mut mirrors = Mirrors::new(3);
    for at in 0..3 {
        mirrors.start(at);
    }
    for (at, to) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
        mirrors.until_status(at, to, "SYNC");
    }
    mirrors.ask(0, &["set", "key", "1"]);
    mirrors.ask(0, &["hset", "hash", "field", "1"]);
    mirrors.ask(1, &["zset", "zset", "member", "5"]);
    mirrors.ask(0, &["qpush", "queue", "a", "b"]);
    mirrors.ask(1, &["qpop", "queue"]);
    mirrors.ask(0, &["qpush", "queue", "c"]);
    until("all have the queue", || {
        (0..3).all(|at| mirrors.ask(at, &["qrange", "queue", "0", "9"]).last().unwrap() == "c")
    });
    mirrors.kill(2);
    std::fs::remove_dir_all(mirrors.dir(2)).unwrap();
    std::fs::create_dir(mirrors.dir(2)).unwrap();
    mirrors.start(2);
    let size = |at: usize| mirrors.ask(at, &["qsize", "queue"])[1].parse::<usize>().unwrap();
    let before = size(0);
    until("it has been pushed by both", || size(2) == 2 * before);
    assert_eq!(mirrors.ask(2, &["hgetall", "hash"]), ["ok", "field", "1"]);
    assert_eq!(
        mirrors.ask(2, &["zrange", "zset", "0", "9"]),
        ["ok", "member", "5"]
    );
    assert_eq!(mirrors.ask(2, &["keys", "", "", "9"]), ["ok", "key"]);
    // They remember more changes of it than it has made: nothing comes back.
    assert_eq!((size(0), size(1)), (before, before));
}

/// Two links of one start went to the same host (seen): names are resolved in one place for all threads.
#[test]
fn links_that_resolve_names_at_once_go_to_the_same_host_and_both_say_sync() {
    let mut mirrors = Mirrors::new(1);
    // The same port on three addresses, with names that are none of the server's addresses.
    let port = mirrors.ports[0];
    let conf = |own: &str, peers: &[&str]| {
        let link = |peer: &&str| {
            format!(
                "\tslaveof:\n\t\tid: {peer}\n\t\ttype: mirror\n\t\thost: {peer}\n\t\tport: {port}\n\t\tauth: {PASSWORD}\n"
            )
        };
        let links: String = peers.iter().map(link).collect();
        format!(
            "work_dir = ./{own}\nserver:\n\tip: {own}\n\tport: {port}\n\tauth: {PASSWORD}\nreplication:\n\tbinlog: yes\n\
             {links}logger:\n\tlevel: info\n\toutput: {own}/log.txt\n"
        )
    };
    let home = mirrors.home.path().to_owned();
    let mut start = |own: &str, peers: &[&str]| {
        std::fs::create_dir_all(home.join(own)).unwrap();
        std::fs::write(home.join("db0.conf"), conf(own, peers)).unwrap();
        if own == "127.0.0.1" {
            std::fs::write(home.join(own).join("race"), "").unwrap();
        }
        let child = mirrors.command(0).spawn().unwrap();
        mirrors.running.push(Some(child));
        until("it answers", || TcpStream::connect((own, port)).is_ok());
    };
    start("127.0.0.2", &[]);
    start("127.0.0.3", &[]);
    start("127.0.0.1", &["127.2", "127.3"]);
    until("both say SYNC", || {
        mirrors
            .ask(0, &["info"])
            .concat()
            .matches("status     : SYNC")
            .count()
            == 2
    });
    let rows = |at: &str| {
        let mut stream = std::io::BufReader::new(TcpStream::connect((at, port)).unwrap());
        let mut talk = |words: &[&str]| {
            message::write(stream.get_mut(), words).unwrap();
            message::read(&mut stream).unwrap().unwrap()
        };
        talk(&["auth", PASSWORD]);
        let info = talk(&["info"]);
        info.iter().filter(|item| item.starts_with(b"client ")).count()
    };
    let mut both = [rows("127.0.0.2"), rows("127.0.0.3")];
    both.sort_unstable();
    assert_eq!(both, [0, 2]);
}
