-- A journal of format 1, as the first version wrote it: one run with an event of every kind. Never changes.
BEGIN TRANSACTION;
CREATE TABLE runs (
        run         TEXT    NOT NULL PRIMARY KEY,
        started_us  INTEGER NOT NULL,
        who         TEXT    NOT NULL,
        command     TEXT    NOT NULL,
        inventory   TEXT    NOT NULL,
        node_count  INTEGER NOT NULL,
        nodes       TEXT    NOT NULL, -- JSON: [{node, host, title, needs, disrupts}]
        ended_us    INTEGER,          -- with the four below: NULL until the run ends
        done        INTEGER,
        failed      INTEGER,
        not_run     INTEGER,
        interrupted INTEGER
    ) STRICT;
INSERT INTO "runs" VALUES('0193aaaa-0000-7000-8000-000000000001',1700000000000000,'ana@bastion','clusterctl apply inventory.toml','inventory.toml',1,'[{"node":"mq/restart@db1","host":"db1","title":"restart rabbitmq-server","needs":["mq/config@db1"],"disrupts":["mq"]}]',1700000001000000,1,4,4,1);
CREATE INDEX runs_by_start ON runs (started_us);
CREATE TABLE events (
        run   TEXT    NOT NULL REFERENCES runs (run) ON DELETE CASCADE,
        seq   INTEGER NOT NULL,
        at_us INTEGER NOT NULL,
        event TEXT    NOT NULL, -- JSON
        PRIMARY KEY (run, seq)
    ) STRICT, WITHOUT ROWID;
INSERT INTO "events" VALUES('0193aaaa-0000-7000-8000-000000000001',1,1700000000000001,'{"event":"run-started","nodes":9}');
INSERT INTO "events" VALUES('0193aaaa-0000-7000-8000-000000000001',2,1700000000000002,'{"event":"node-started","node":"mq/restart@db1","host":"db1"}');
INSERT INTO "events" VALUES('0193aaaa-0000-7000-8000-000000000001',3,1700000000000003,'{"event":"node-waiting","node":"mq/restart@db1","why":"db1 is running: 2 of 3 members"}');
INSERT INTO "events" VALUES('0193aaaa-0000-7000-8000-000000000001',4,1700000000000004,'{"event":"node-finished","node":"mq/restart@db1","outcome":{"outcome":"done","change":{"summary":"wrote /etc/rabbitmq/rabbitmq.conf","backup":"/etc/rabbitmq/rabbitmq.conf.20261103T101500Z"}}}');
INSERT INTO "events" VALUES('0193aaaa-0000-7000-8000-000000000001',5,1700000000000005,'{"event":"node-finished","node":"mq/restart@db1","outcome":{"outcome":"done","change":null}}');
INSERT INTO "events" VALUES('0193aaaa-0000-7000-8000-000000000001',6,1700000000000006,'{"event":"node-finished","node":"mq/restart@db1","outcome":{"outcome":"failed","failure":{"failure":"changed","what":"the file was edited"}}}');
INSERT INTO "events" VALUES('0193aaaa-0000-7000-8000-000000000001',7,1700000000000007,'{"event":"node-finished","node":"mq/restart@db1","outcome":{"outcome":"failed","failure":{"failure":"action","message":"exit status 1"}}}');
INSERT INTO "events" VALUES('0193aaaa-0000-7000-8000-000000000001',8,1700000000000008,'{"event":"node-finished","node":"mq/restart@db1","outcome":{"outcome":"failed","failure":{"failure":"gate","title":"db1 is running","last":"node down"}}}');
INSERT INTO "events" VALUES('0193aaaa-0000-7000-8000-000000000001',9,1700000000000009,'{"event":"node-finished","node":"mq/restart@db1","outcome":{"outcome":"failed","failure":{"failure":"lost","message":"connection reset"}}}');
INSERT INTO "events" VALUES('0193aaaa-0000-7000-8000-000000000001',10,1700000000000010,'{"event":"node-finished","node":"mq/restart@db1","outcome":{"outcome":"not-run","why":{"why":"dependency","on":"mq/config@db1"}}}');
INSERT INTO "events" VALUES('0193aaaa-0000-7000-8000-000000000001',11,1700000000000011,'{"event":"node-finished","node":"mq/restart@db1","outcome":{"outcome":"not-run","why":{"why":"rollout-stopped","by":"mq/restart@db2"}}}');
INSERT INTO "events" VALUES('0193aaaa-0000-7000-8000-000000000001',12,1700000000000012,'{"event":"node-finished","node":"mq/restart@db1","outcome":{"outcome":"not-run","why":{"why":"budget","group":"mq","unavailable":["db3"]}}}');
INSERT INTO "events" VALUES('0193aaaa-0000-7000-8000-000000000001',13,1700000000000013,'{"event":"node-finished","node":"mq/restart@db1","outcome":{"outcome":"not-run","why":{"why":"fail-fast"}}}');
INSERT INTO "events" VALUES('0193aaaa-0000-7000-8000-000000000001',14,1700000000000014,'{"event":"node-finished","node":"mq/restart@db1","outcome":{"outcome":"not-run","why":{"why":"interrupted"}}}');
INSERT INTO "events" VALUES('0193aaaa-0000-7000-8000-000000000001',15,1700000000000015,'{"event":"interrupted"}');
INSERT INTO "events" VALUES('0193aaaa-0000-7000-8000-000000000001',16,1700000000000016,'{"event":"run-finished","outcome":{"done":1,"failed":4,"not_run":4,"interrupted":true}}');
PRAGMA user_version = 1;
COMMIT;
