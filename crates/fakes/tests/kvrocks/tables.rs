//! What the store in memory deliberately does not play.

/// Situations, of which those that are not played are lacking, and why.
pub(crate) const LACKING: &[(&str, &str)] = &[
    ("about", "how it was recorded"),
    ("versions", "how it was recorded"),
    ("kvrocks sentinel:ports", "how it was recorded"),
    ("redis *", "Redis and its Sentinel are real in the lab"),
    ("*: log of *", "nobody reads logs"),
    ("*error log", "nobody reads logs"),
    ("kvrocks sentinel:log of *", "nobody reads logs"),
    ("before auth:*", "the agent shows the password first"),
    ("auth:*", "the agent shows the password first"),
    (
        "config set:requirepass *",
        "connections that stay open: the agent opens one for each question",
    ),
    ("cmd:*", "commands that the kind does not send are a panic"),
    ("config:*", "commands that the kind does not send are a panic"),
    (
        "config get:*",
        "directives that the kind does not ask for are unknown",
    ),
    (
        "config set:*",
        "directives that nobody sets are unknown, and values are not judged",
    ),
    (
        "namespace:*",
        "namespaces are lines of the file, and nobody adds any",
    ),
    ("namespace user:*", "the agent shows the password, no token"),
    ("FLUSH*", "keys come and go by the clients of the simulation"),
    ("dbsize:*", "nobody tells it to count its keys"),
    (
        "on a replica:*",
        "clients write where the sentinels say, and other commands are not sent",
    ),
    (
        "on the master:*",
        "commands that the kind does not send are a panic",
    ),
    ("config rewrite:replica", "as with the minimal file"),
    ("SHUTDOWN", "systemd stops it"),
    ("stop:*", "systemd tells how it ended; there are no pid files"),
    ("start:after SIGKILL", "there are no pid files"),
    ("start:dir *", "there is no file system below dir"),
    ("start:log-dir *", "there is no file system below dir"),
    (
        "start:conf through a symlink*",
        "a link is refused before anything is written",
    ),
    ("start:option on the command line", "units are those of the lab"),
    ("start:no conf file given", "units are those of the lab"),
    ("start:unknown argument", "units are those of the lab"),
    ("start:port *", "each host has one server"),
    ("start:bind two", "each host has one address"),
    ("start:address not of this host", "each host has one address"),
    ("start:*", "files that only an operator writes"),
    (
        "slaveof on a master:*",
        "nobody sends a name, a wrong port or NO ONE to a master, and nobody asks ROLE",
    ),
    ("slaveof on a replica:NO ONE*", "Sentinel does so, not the agent"),
    (
        "slaveof on a *: at once",
        "a link is up within the time that a command takes",
    ),
    (
        "slaveof on a *: link",
        "a link is up within the time that a command takes",
    ),
    (
        "slaveof on a former replica:own write then",
        "the simulation counts what is lost",
    ),
    ("*link* after s*", "how long it took"),
    ("kvrocks sentinel:* after s", "how long it took"),
    (
        "kvrocks sentinel:during the failover *",
        "a failover takes place at one moment",
    ),
    (
        "kvrocks sentinel:* file *",
        "written again at every change, without the identities of others",
    ),
    (
        "kvrocks sentinel:file before *",
        "written again at every change, without the identities of others",
    ),
    (
        "sentinel cmd:*",
        "commands that the kind does not send are a panic",
    ),
    (
        "repl:replica with link up, announcing itself",
        "members are known by the addresses that they have",
    ),
    ("repl:master stalled *", "a host that hangs is cut off"),
    (
        "repl:*full*sync*",
        "a copy is whole at one moment, and INFO is never empty: case tests of the kind have that",
    ),
];

/// Fields whose values are another run's.
pub(crate) const MEANINGLESS: &[&str] = &[
    "slave_repl_offset",
    "master_repl_offset",
    "role-reported-time",
    "slave-repl-offset",
];
