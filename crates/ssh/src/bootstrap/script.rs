//! The command itself.
//!
//! It is made of constants, the agent's hash, its size and the name of a machine, and of nothing that anybody typed. The
//! login shell may be any (bash, fish, csh): it gets one line in single quotes without a quote, a backslash or an
//! exclamation mark in it, and hands it to `sh`.

use crate::options::{AgentBinary, Privilege};

/// What begins each line that the command says.
pub(super) const MARK: &str = "clusterctl/1 ";

/// Says why it cannot go on: a word, and what a tool said.
const FAIL: &str = r#"fail() { echo "clusterctl/1 error $*"; exit 9; }"#;

/// The folder of this user's agents, as a path without links, and the agent in it. What a link above it leads to is
/// judged; the folder itself is ours and no link.
const PLACES: &str = concat!(
    r#"umask 077; u=$(id -u) || fail tool id; d=${XDG_CACHE_HOME:-$HOME/.cache}/clusterctl; "#,
    r#"if [ -h "$d" ]; then fail link "$d"; fi; "#,
    r#"[ -d "$d" ] || e=$(mkdir -p "$d" 2>&1) || fail home "$e"; "#,
    r#"d=$(CDPATH= cd -P "$d" 2>&1 && pwd -P) || fail home "$d"; f=$d/agent-$s; "#,
);

/// Root may be about to run a file of this folder, so nobody else may be able to replace it after it was verified: the
/// folder, every folder on the way to it and the agent itself belong to the user or to root, and others write none of
/// them, but for folders above with the sticky bit (/tmp), whose entries only their owners rename. `b` is what breaks
/// that: nothing, the agent alone (which is then replaced), or more (which is refused). The mode of a link is 777,
/// so a link in the agent's place is among it.
const JUDGE: &str = concat!(
    r#"if [ -O "$d" ]; then :; else fail owner "$d"; fi; if [ -k "$d" ]; then fail exposed "$d"; fi; "#,
    r#"set -- "$d"; p=${d%/*}; while [ -n "$p" ]; do set -- "$@" "$p"; p=${p%/*}; done; "#,
    r#"exposed() { find "$@" -prune "(" "(" -user 0 -o -user "$u" ")" "(" -type d -perm -1000 -o -perm /022 -print -o -prune ")" "#,
    r#"-o -print ")" 2>&1; }; "#,
    r#"if [ -f "$f" ] && [ -x "$f" ]; then set -- "$@" "$f"; fi; "#,
    r#"b=$(exposed / "$@") || fail tool "find: $b"; [ -z "$b" ] || [ "$b" = "$f" ] || fail exposed "$b"; "#,
);

/// Whether a file is the agent.
const IS_IT: &str = r#"command -v sha256sum >/dev/null || fail sha256sum; is_it() { h=$(sha256sum <"$1") && [ "${h%% *}" = "$s" ]; }; "#;

/// Takes the agent in from the standard input, compressed where the host can unpack it. A line before it names the hash of
/// what is sent and its length.
///
/// - What arrived of an earlier attempt is gone on with, in a copy: its writer may not know yet that it is alone. Every second
///   the number of bytes that arrived is said, by a process that names itself in the temporary file, since a login shell
///   would take the usual way to ask for its number as something of its own.
/// - The temporary file is in the same directory, so that the agent is there wholly or not at all. What was not used for a
///   month is cleared away on this occasion, and what was cut off a day ago.
/// - Another run may have taken its own in meanwhile, and cleared away what this one goes on with: then that is it.
/// - The rename takes the place of whatever is there, in one step, since another run may be starting it: only into a folder it
///   would go inside.
const TAKE_IN: &str = concat!(
    r#"find "$d" -type f "(" -name "agent-*" -atime +30 -o "(" -name "new-*" -o -name "part-*" ")" -mtime +1 ")" -exec rm -f {} + "#,
    r#"2>/dev/null; "#,
    r#"z=cat; w=plain; if command -v gzip >/dev/null; then z="gzip -dc"; w=gzip; fi; "#,
    r#"size() { { echo $(($(wc -c <"$1"))); } 2>/dev/null; }; t=; p=; q=; r=; "#,
    r#"clear() { if [ -n "$r" ]; then kill "$r"; wait "$r"; fi 2>/dev/null; r=; rm -f "$t" "$p" "$q"; }; trap clear 0; "#,
    r#"t=$(mktemp "$d/new-XXXXXX" 2>&1) || fail home "$t"; "#,
    r#"echo "clusterctl/1 need $w"; read -r c l || fail short; "#,
    r#"p=$(mktemp "$d/part-$c-XXXXXX" 2>&1) || fail home "$p"; k=0; "#,
    r#"for o in "$d/part-$c-"*; do m=$(size "$o"); "#,
    r#"if [ "${m:-0}" -gt "$k" ] && [ "$m" -le "$l" ]; then k=$m; q=$o; fi; done; "#,
    r#"if [ "$k" -gt 0 ]; then e=$({ head -c "$k" "$q" >"$p"; } 2>&1) || "#,
    r#"if [ -e "$q" ]; then fail write "$e"; else q=; k=0; : >"$p"; fi; fi; "#,
    r#"echo "clusterctl/1 from $k"; "#,
    r#"{ read -r i x </proc/self/stat; echo "$i" >"$t"; "#,
    r#"while sleep 1 >/dev/null; do echo "clusterctl/1 got $(size "$p")" || exit; done; } 2>/dev/null & "#,
    r#"until [ -s "$t" ]; do :; done; read -r r <"$t"; "#,
    r#"e=$({ head -c "$((l-k))" >>"$p"; } 2>&1) || fail write "$e"; "#,
    r#"{ kill "$r"; wait "$r"; } 2>/dev/null; r=; "#,
    r#"if [ -z "$b" ] && [ -f "$f" ] && is_it "$f"; then clear; trap - 0; else "#,
    r#"if [ "$(size "$p")" = "$l" ]; then :; else p=; fail short; fi; "#,
    r#"e=$({ $z <"$p" >"$t"; } 2>&1) || fail write "$e"; "#,
    r#"is_it "$t" || fail content; "#,
    r#"e=$(chmod 700 "$t" 2>&1) || fail home "$e"; "#,
    r#"[ -x "$t" ] || fail noexec "$d"; "#,
    r#"if [ -d "$f" ]; then rm -rf "$f"; fi; e=$(mv -f "$t" "$f" 2>&1) || fail home "$e"; t=; clear; trap - 0; fi; "#,
    r#"b=$(exposed "$f") && [ -z "$b" ] && [ -f "$f" ] || fail exposed "$f"; "#,
);

/// What tools say is to be in English, here and when the agent starts them.
const ENGLISH: &str = "LC_ALL=C.UTF-8; export LC_ALL";

/// Becomes the agent.
const AS_USER: &str = r#"exec "$f""#;
const AS_ROOT: &str = r#"if [ "$u" = 0 ]; then exec "$f"; fi; exec sudo -n -- "$f""#;

/// The command for a login shell.
pub(super) fn command(agent: &AgentBinary, privilege: Privilege) -> String {
    let check_machine = match agent.machine() {
        Some(machine) => format!(r#"m=$(uname -m); [ "$m" = {machine} ] || fail machine {machine} "$m"; "#),
        None => String::new(),
    };
    let become_it = match privilege {
        Privilege::None => AS_USER,
        Privilege::Sudo => AS_ROOT,
    };
    let (sha256, size) = (agent.sha256(), agent.bytes.len());
    format!(
        "exec sh -c 's={sha256}; n={size}; {ENGLISH}; {FAIL}; {IS_IT}{PLACES}{JUDGE}if [ -z \"$b\" ] && [ -f \"$f\" ] && [ -x \"$f\" ] && is_it \"$f\"; then :; else \
         {check_machine}{TAKE_IN}fi; echo \"{MARK}start\"; {become_it}'"
    )
}

#[cfg(test)]
mod tests;
