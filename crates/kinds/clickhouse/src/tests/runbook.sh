mkdir -p /etc/clickhouse-server/config.d
cat <<EOF > /etc/clickhouse-server/config.d/clusters.xml
<?xml version="1.0" ?>
<clickhouse>
<remote_servers>
<altcraft>
<shard>
<internal_replication>true</internal_replication>
<replica>
<host>db1</host>
<port>9000</port>
</replica>
<replica>
<host>db2</host>
<port>9000</port>
</replica>
<replica>
<host>db3</host>
<port>9000</port>
</replica>
</shard>
</altcraft>
</remote_servers>
</clickhouse>
EOF
cat <<EOF > /etc/clickhouse-server/config.d/macros.xml
<?xml version="1.0" ?>
<clickhouse>
<macros>
<cluster>altcraft</cluster>
<replica>db1</replica>
<shard>01</shard>
</macros>
</clickhouse>
EOF
cat <<EOF > /etc/clickhouse-server/config.d/keeper.xml
<?xml version="1.0" ?>
<clickhouse>
<keeper_server>
<tcp_port>9181</tcp_port>
<server_id>1</server_id>
<log_storage_path>/var/lib/clickhouse/coordination/log</log_storage_path>
<snapshot_storage_path>/var/lib/clickhouse/coordination/snapshots</snapshot_storage_path>

<coordination_settings>
<operation_timeout_ms>10000</operation_timeout_ms>
<session_timeout_ms>30000</session_timeout_ms>
<rotate_log_storage_interval>10000</rotate_log_storage_interval>
</coordination_settings>

<raft_configuration>
<server>
<id>1</id>
<hostname>db1</hostname>
<port>9444</port>
</server>
<server>
<id>2</id>
<hostname>db2</hostname>
<port>9444</port>
</server>
<server>
<id>3</id>
<hostname>db3</hostname>
<port>9444</port>
</server>
</raft_configuration>
</keeper_server>

<zookeeper>
<node>
<host>db1</host>
<port>9181</port>
</node>
<node>
<host>db2</host>
<port>9181</port>
</node>
<node>
<host>db3</host>
<port>9181</port>
</node>
</zookeeper>

<distributed_ddl>
<path>/clickhouse/altcraft/task_queue/ddl</path>
</distributed_ddl>
</clickhouse>
EOF
cat <<EOF > /etc/clickhouse-server/config.d/settings.xml
<?xml version="1.0" ?>
<clickhouse>
<listen_host>0.0.0.0</listen_host>
</clickhouse>
EOF
