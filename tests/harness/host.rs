//! What a host looks like, to be compared before and after something that must change nothing.

use crate::Bed;

/// The files under the folders that services use, with their times, and when each unit was started.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot(String);

impl Snapshot {
    /// Looks at a host. What services write by themselves while they run (databases, logs) is left out, and so is
    /// the agent's own lock.
    pub fn of(bed: &Bed, host: &str) -> Self {
        let script = "
            find /etc /var/backups /root /home /opt /usr/local /var/lib/rabbitmq/.erlang.cookie -xdev \
                \\( -path /root/.cache -o -path /home/deploy/.cache -o -path /etc/redis \\
                   -o -path /opt/akd/var -o -path '/usr/local/ssdb/var*' -o -path '/usr/local/ssdb/*.log*' \\) -prune \
                -o -printf '%p %m %u %g %T@ %C@\\n' | sort
            sha256sum /etc/redis/redis.conf
            for unit in rabbitmq-server redis-server redis-sentinel mongod zookeeper clickhouse-server ssdb \
                        ssdb-hbsupp ssdb-notify proctask procworkflow; do
                systemctl show -p ExecMainStartTimestampMonotonic -p InvocationID -p UnitFileState $unit
            done
        ";
        Self(bed.on(host, script))
    }
}
