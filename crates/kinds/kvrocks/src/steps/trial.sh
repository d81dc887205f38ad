# Tries a file for Redis or Valkey: starts the unit's program with it beside the one that runs, as its owner, in a directory
# of its own, without port, role and data. If it answers PING (NOAUTH is an answer), it has taken the file.
# Arguments: the file, the unit, its user and group, and the names (a regular expression) of directives that can hold secrets.
cd / || exit 1
server=$(systemctl show --property=ExecStart --value "$2" | sed -n '1s/^{ path=\([^ ;]*\) ;.*/\1/p')
cli=${server%-server}-cli
# Without these two the first member that is started proves the file.
if ! [ -x "$server" ] || ! [ -x "$cli" ]; then exit 0; fi
top=$(mktemp -d /tmp/clusterctl.XXXXXX) || exit 1
pid=
stop() {
    [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
    wait
    pid=
}
trap 'stop; rm -rf "$top"' EXIT
trap 'exit 1' HUP INT TERM
dir=$top/d
mkdir "$dir" && chmod 711 "$top" && chown "$3:$4" "$dir" || exit 1
as=
[ "$(id -u)" != 0 ] || as="--reuid $3 --regid $4 --init-groups"
# A build without TLS does not know tls-port; in any other it may stand in an included file.
for tls in '--tls-port 0' ''; do
    # The kernel ends it where this shell is killed.
    setpriv --pdeathsig KILL $as "$server" "$1" --port 0 $tls --unixsocket "$dir/s" --replicaof no one --dir "$dir" \
        --appendonly no --save '' --daemonize no --supervised no --pidfile "$dir/pid" --logfile '' --syslog-enabled no \
        --loglevel notice >"$top/log" 2>&1 &
    pid=$!
    left=100
    while [ $left -gt 0 ] && kill -0 $pid 2>/dev/null; do
        timeout --foreground 2 "$cli" -s "$dir/s" PING >/dev/null 2>&1 && exit 0
        sleep 0.1
        left=$((left - 1))
    done
    stop
    [ -n "$tls" ] && grep -q "^>>> 'tls-port \"0\"'" "$top/log" || break
done
[ $left -gt 0 ] || echo 'it does not answer within 10 s' >&2
sed -E "s/^(>>> '($5))[[:space:]].*/\1 ...'/I" "$top/log" >&2
exit 1
