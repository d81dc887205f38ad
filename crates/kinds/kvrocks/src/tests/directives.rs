//! Editing directives.

use formats::directives::{Directives, same_value};
use formats::engine::Engine;

const FILE: &str =
    "# requirepass foobared\nport 6379\n\nsave 3600 1\nSAVE 300 100\nslave-priority 100\nport 7000";

fn file() -> Directives {
    Directives::parse(FILE, Engine::Redis)
}

#[test]
fn what_is_not_named_keeps_its_bytes() {
    assert_eq!(file().text(), FILE);
    assert_eq!(Directives::parse("", Engine::Redis).text(), "");
}

#[test]
fn the_last_line_holds_and_is_the_one_that_changes() {
    let mut file = file();
    assert_eq!(file.last("port"), Some("7000"));
    file.set("port", "6666");
    assert_eq!(file.text(), FILE.replace("port 7000", "port 6666"));
}

#[test]
fn a_comment_is_no_directive_and_a_missing_one_is_added_at_the_end() {
    let mut file = Directives::parse("# requirepass foobared\n", Engine::Redis);
    assert_eq!(file.last("requirepass"), None);
    file.set("requirepass", "\"⟪secret:file:pw⟫\"");
    assert_eq!(
        file.text(),
        "# requirepass foobared\nrequirepass \"⟪secret:file:pw⟫\"\n"
    );
}

#[test]
fn aliases_are_the_same_directive_where_the_engine_says_so() {
    let mut redis = file();
    redis.set("replica-priority", "10");
    assert!(redis.text().contains("slave-priority 10\n"));
    let kvrocks = Directives::parse("slave-priority 100", Engine::Kvrocks);
    assert_eq!(kvrocks.last("replica-priority"), None);
}

#[test]
fn lines_that_add_up_are_replaced_together() {
    let mut file = file();
    file.set_all("save", &["60 1".to_owned()]);
    assert_eq!(file.all("save"), ["60 1"]);
    let same = file.text();
    file.set_all("save", &["\"60\"  1".to_owned()]);
    assert_eq!(file.text(), same);
}

#[test]
fn ways_of_writing_mean_the_same() {
    for (a, b) in [
        ("\"abc\"", "abc"),
        ("100mb", "104857600"),
        ("1k", "1000"),
        ("YES", "yes"),
        ("127.0.0.1   -::1", "127.0.0.1 -::1"),
        ("\"\"", ""),
    ] {
        assert!(same_value(a, b), "{a} {b}");
    }
    assert!(!same_value("abc", "ABC"));
}

#[test]
fn longer_beginnings_are_found_too() {
    let sentinel = Directives::parse(
        "sentinel monitor a 10.0.0.1 6379 2\nSENTINEL auth-pass a x\n",
        Engine::Redis,
    );
    assert_eq!(sentinel.after(&["sentinel", "monitor"]), ["a 10.0.0.1 6379 2"]);
    assert_eq!(sentinel.after(&["sentinel", "auth-pass", "a"]), ["x"]);
}

/// What CONFIG REWRITE of Valkey 8.1.1 made of a file with a line for replicas (ran): it was another file at every plan.
#[test]
fn each_class_of_clients_has_its_own_limit() {
    let rewritten = "client-output-buffer-limit normal 0 0 0\nport 1\nclient-output-buffer-limit replica 512mb 128mb 60\n";
    let mut file = Directives::parse(rewritten, Engine::Valkey);
    let key = "client-output-buffer-limit";
    file.set_classes(key, &["slave 512mb 128mb 60".to_owned()]);
    assert_eq!(file.text(), rewritten);
    file.set_classes(
        key,
        &["replica 1gb 1gb 60".to_owned(), "pubsub 1mb 1mb 60".to_owned()],
    );
    assert_eq!(
        file.all(key),
        ["normal 0 0 0", "replica 1gb 1gb 60", "pubsub 1mb 1mb 60"]
    );
}

/// `CONFIG SET notify-keyspace-events KEA` is `AKE` from then on (ran: Valkey 8.1.1).
#[test]
fn classes_of_events_have_no_order() {
    let mut file = Directives::parse("notify-keyspace-events \"AKE\"\n", Engine::Valkey);
    file.set("notify-keyspace-events", "KEA");
    assert_eq!(file.text(), "notify-keyspace-events \"AKE\"\n");
    file.set("notify-keyspace-events", "KE");
    assert_eq!(file.text(), "notify-keyspace-events KE\n");
}
