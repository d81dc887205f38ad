//! What the stand-in deliberately lacks.

/// Why a copy is not played.
const SLOW: &str = "the recording slowed this copy down with a proxy";
/// Why a log is not compared.
const LOG: &str = "the log has only lines that somebody reads";
/// Why a time is not compared.
const TIME: &str = "how long it takes is the machine's";
/// Why a server is not emptied.
const EMPTY: &str = "a server is not emptied over the network";

/// Situations that are not played, with one `*` for any text.
pub(super) const LACKING: &[(&str, &str)] = &[
    ("about", "it tells of the recording"),
    ("versions", "it says that it is a stand-in"),
    ("conf:*", "what the servers of the recording were started with"),
    ("log after SIGTERM", LOG),
    ("repl:log of the follower", LOG),
    ("repl:*: log", LOG),
    ("oos:*: master log", LOG),
    ("oos:logs", LOG),
    ("*seconds", TIME),
    ("*after s", TIME),
    ("repl:client row gone after", TIME),
    ("*slaveof", "masters come from the file only"),
    ("slaveof:*", "masters come from the file only"),
    ("before auth:slaveof*", "masters come from the file only"),
    ("cmd:list*ip", "every client is let in"),
    ("ip filter:*", "every client is let in"),
    ("start:deny all", "every client is let in"),
    ("cmd:*_range*", "it serves all keys"),
    ("cmd:ignore_key_range", "it serves all keys"),
    ("info:cmd", "calls are not counted by their command"),
    ("cmd:compact", "there is nothing to compact"),
    ("raw:redis protocol*", "it speaks its own protocol only"),
    ("cmd:*flushdb*", EMPTY),
    ("repl:flushdb*", EMPTY),
    ("cmd:*clear_binlog*", EMPTY),
    ("binlog:after clear_binlog*", EMPTY),
    ("binlog:after flushdb", EMPTY),
    ("binlog:after SIGKILL and restart", EMPTY),
    ("repl:COPY*", SLOW),
    ("repl:link cut*", SLOW),
    ("repl:stop with three slaveof", SLOW),
    (
        "oos:follower wiped*",
        "this copy stalled, which the stand-in does when it is told to",
    ),
    ("oos:master wiped: follower info", "its copy had stalled before"),
    (
        "repl:silent peer*: stop*",
        "a silent peer does not keep it from ending",
    ),
    ("start:readonly yes", "there is no `readonly`"),
];

/// Whether a text is of a pattern, in which one `*` stands for any text.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => {
            // A second one stands for any text, too.
            let Some(rest) = text.strip_prefix(head) else {
                return false;
            };
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && glob(tail, &rest[at..]))
        }
    }
}
