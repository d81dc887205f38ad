//! What the stand-in deliberately lacks. docs/reference/stand-in.md tells the same.

/// A field, or a value, that is another than recorded.
pub(super) struct Difference {
    /// The situations, with one `*` for any text.
    pub situation: &'static str,
    /// The field's path, with one `*` for any text.
    pub path: &'static str,
    /// Why.
    pub why: &'static str,
}

const fn differs(situation: &'static str, path: &'static str, why: &'static str) -> Difference {
    Difference { situation, path, why }
}

/// Why `buildInfo` is another.
const BUILD: &str = "the stand-in is none of MongoDB's builds, and says so";
/// Why a figure is lacking.
const FIGURES: &str = "figures that nobody asks for";
/// Why a moment is another.
const SETTLED: &str = "the play waits until the members know of each other; the recording caught them before";

/// Fields that are lacking or say something else.
pub(super) const DIFFERENCES: &[Difference] = &[
    differs("*:buildInfo", "gitVersion", BUILD),
    differs("*:buildInfo", "modules*", BUILD),
    differs("*:buildInfo", "allocator", BUILD),
    differs("*:buildInfo", "sysInfo", BUILD),
    differs("*:buildInfo", "openssl", BUILD),
    differs("*:buildInfo", "buildEnvironment", BUILD),
    differs("*:buildInfo", "storageEngines*", BUILD),
    differs("*serverStatus", "storageEngine.*", BUILD),
    differs("*serverStatus", "electionMetrics", FIGURES),
    differs("*serverStatus", "opLatencies", FIGURES),
    differs("*serverStatus", "security", FIGURES),
    differs("*serverStatus", "repl.primaryOnlyServices", FIGURES),
    differs("*serverStatus", "repl.rbid", FIGURES),
    differs("*", "electionCandidateMetrics", FIGURES),
    differs("*", "electionParticipantMetrics", FIGURES),
    differs("*", "users.*.mechanisms", "users have SCRAM-SHA-256 only"),
    differs(
        "start:keyfile 0440 root",
        "out.0",
        "a cut line that says nothing of the start",
    ),
    differs(
        "start:journal.enabled false",
        "stdout.0",
        "a cut line that says nothing of the start",
    ),
    differs(
        "start:port in use",
        "stdout.0",
        "a cut line that says nothing of the start",
    ),
    differs(
        "initiate to primary",
        "1.*",
        "a new primary takes writes at once: there is no drain mode",
    ),
    differs(
        "initiate:again",
        "*Time",
        "a real primary signs times only a moment after its election",
    ),
    differs(
        "fresh primary nobody:*",
        "*Time",
        "a real primary signs times only a moment after its election",
    ),
    differs(
        "without majority:status",
        "members.0.infoMessage",
        "a search for a sync source is not told",
    ),
    differs(
        "without majority:status",
        "members.2.lastHeartbeatMessage",
        "a heartbeat that was waiting when the other ended is refused like the next one",
    ),
    differs("stepdown: old status", "members.*.configTerm", SETTLED),
    differs("stepdown: old status", "members.*.t", SETTLED),
    differs("versions after adding a fresh voter", "1.2", SETTLED),
];

/// Situations that are not played.
pub(super) const LACKING: &[(&str, &str)] = &[
    ("mongod --version", "it says that it is a stand-in"),
    ("start seconds", "how long a start takes is the machine's"),
    ("admin on primary:getLog", "there is no `getLog`"),
    ("admin on secondary:getLog", "there is no `getLog`"),
    ("log sample", "the log has only lines that somebody reads"),
];

/// Whether a text is of a pattern, in which one `*` stands for any text.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => {
            text.len() >= head.len() + tail.len() && text.starts_with(head) && text.ends_with(tail)
        }
    }
}
