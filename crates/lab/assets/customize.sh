#!/bin/sh
# Turns a fresh Debian root ($1) into the lab's host image. Runs once per image, as mmdebstrap's last hook.
# A part of the image's recipe: any change here makes a new image.
set -eu
R=$1

# The services of all suites are there for the tests to configure and start: installed, but off.
for s in rabbitmq-server redis-server redis-sentinel valkey-server valkey-sentinel clickhouse-server zookeeper; do
  systemctl --root="$R" disable "$s" >/dev/null 2>&1 || :
  rm -f "$R"/etc/rc?.d/S??"$s"      # a sysv link would start it all the same
done

# Timers and services without a purpose in a container: they cost boot time and memory.
for s in e2scrub_reap systemd-timesyncd apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
  e2scrub_all.timer fstrim.timer; do
  systemctl --root="$R" disable "$s" >/dev/null 2>&1 || :
done
systemctl --root="$R" mask systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket \
  getty@tty1.service console-getty.service systemd-resolved.service systemd-networkd.service \
  systemd-networkd-wait-online.service >/dev/null 2>&1
systemctl --root="$R" set-default multi-user.target >/dev/null 2>&1

# What must be every host's own is made at its first boot, or by the lab.
rm -f "$R"/etc/ssh/ssh_host_* "$R"/etc/hostname "$R"/var/lib/dbus/machine-id
: > "$R"/etc/machine-id

# No name server: the hosts have no way out, and a query that waits for an answer would slow every test.
rm -f "$R"/etc/resolv.conf
: > "$R"/etc/resolv.conf

mkdir -p "$R"/etc/systemd/system/ssh.service.d
printf '[Service]\nExecStartPre=\nExecStartPre=/usr/sbin/sshd -t\n' > "$R"/etc/systemd/system/ssh.service.d/lab.conf
cat > "$R"/etc/ssh/sshd_config.d/lab.conf <<'EOF'
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UseDNS no
EOF

chroot "$R" useradd -m -s /bin/bash -G sudo deploy
printf 'deploy ALL=(ALL) NOPASSWD:ALL\n' > "$R"/etc/sudoers.d/deploy
chmod 440 "$R"/etc/sudoers.d/deploy
mkdir -p -m 700 "$R"/root/.ssh "$R"/home/deploy/.ssh
chroot "$R" chown deploy: /home/deploy/.ssh

mkdir -p "$R"/etc/systemd/journald.conf.d
printf '[Journal]\nStorage=persistent\nSystemMaxUse=16M\nRuntimeMaxUse=8M\nForwardToConsole=no\n' \
  > "$R"/etc/systemd/journald.conf.d/lab.conf

# Debian's default heap is sized for a real server. (Inside the root: the path leads over an absolute link.)
chroot "$R" sed -i 's/^JAVA_OPTS=.*/JAVA_OPTS="-Xms32m -Xmx128m"/' /etc/zookeeper/conf/environment
chroot "$R" grep -q Xmx128m /etc/zookeeper/conf/environment

# The lab looks for this file from outside (it costs nothing to look), and knows that logins work.
cat > "$R"/etc/systemd/system/lab-ready.service <<'EOF'
[Unit]
Description=Tell the lab that this host takes logins
After=ssh.service systemd-user-sessions.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/touch /run/lab-ready

[Install]
WantedBy=multi-user.target
EOF
systemctl --root="$R" enable lab-ready.service >/dev/null 2>&1

# The directories stay: openjdk's installation wants man1.
find "$R"/usr/share/doc "$R"/usr/share/man "$R"/usr/share/locale -mindepth 1 ! -type d -delete
