#!/bin/sh
# One host's supervisor: joins the host's cgroups, runs its container, and runs it again when the host reboots.
# usage: supervise.sh "CGROUP CGROUP..." COMMAND [ARG..]
set -u
for c in $1; do
  echo $$ > "$c/cgroup.procs" || exit 1
done
shift
rc=133                              # systemd-nspawn's exit code when the container asked for a reboot
while [ "$rc" = 133 ]; do
  rc=0
  "$@" || rc=$?
  echo "lab: the container ended with exit code $rc"
done
