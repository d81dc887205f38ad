//! The story, part by part. The servers 0 to 3 are the recorded ones on the ports 27111 to 27114.

use bson::{Bson, Document, doc};

use super::Play;
use super::set::{int, members, version, wait};
use crate::harness::Client;

impl Play {
    pub(super) async fn blank_server(&mut self) {
        let mut nobody = self.nobody(0).await;
        self.ask_all(&mut nobody, "blank:hello", "blank:insert app.x")
            .await;
        let mut other = self.nobody(0).await;
        let refused = other.prove("admin", "admin", "pw", true).await;
        self.compare_reply("blank:login unknown", &refused);
        self.ask_all(
            &mut other,
            "blank:after failed login hello",
            "blank:replSetReconfig",
        )
        .await;
    }

    pub(super) async fn refused_initiates(&mut self) {
        let mut nobody = self.nobody(0).await;
        self.ask_all(
            &mut nobody,
            "initiate:wrong name",
            "precondition hello only setName",
        )
        .await;
    }

    pub(super) async fn first_primary(&mut self) {
        let mut nobody = self.nobody(0).await;
        self.ask(&mut nobody, "initiate:good").await;
        let first = self.role(0).await;
        let ask = doc! {"replSetGetStatus": 1};
        let knows = |member: &Document| {
            let place = member
                .get_document("optime")
                .unwrap()
                .get_timestamp("ts")
                .unwrap();
            int(member, "state") == Some(2) && place.time > 0 && is_heard(member)
        };
        wait(async || members(&nobody.reply("admin", ask.clone()).await.unwrap(), knows)).await;
        // What it knows of the others is from before its election, as when it was asked right after it.
        self.tell(0, "deaf = true").await;
        self.elect(0);
        self.await_primary(0).await;
        let last = self.role(0).await;
        self.compare_rows("initiate to primary", vec![first, last.clone(), last]);
        self.ask(&mut nobody, "initiate:again").await;
        let mut nobody = self.nobody(0).await;
        self.ask_all(
            &mut nobody,
            "fresh primary nobody:hello",
            "same connection after first user:createUser",
        )
        .await;
        let mut nobody = self.nobody(0).await;
        self.ask_all(
            &mut nobody,
            "nobody with users:hello",
            "nobody with users:replSetInitiate",
        )
        .await;
    }

    pub(super) async fn logins(&mut self) {
        for (situation, database, user, password, skip_empty) in [
            ("login wrong password", "admin", "admin", "WRONG", true),
            ("login unknown user", "admin", "nobody", "pw", true),
            ("login other db", "app", "admin", "pw", true),
        ] {
            let mut client = self.nobody(0).await;
            let reply = client.prove(database, user, password, skip_empty).await;
            self.compare_reply(situation, &reply);
        }
        let mut client = self.nobody(0).await;
        self.ask_all(&mut client, "login unknown mechanism", "login GSSAPI")
            .await;
        let reply = client.prove("admin", "admin", "pw", false).await;
        self.compare_reply("login without skipEmpty", &reply);
        let (mut admin, reply) = self.admin(0).await;
        self.compare_reply("login", &reply);
        self.ask_all(
            &mut admin,
            "admin on primary:hello",
            "admin on primary:insert app.x",
        )
        .await;
        self.tell(0, "").await;
    }

    pub(super) async fn secondary(&mut self) {
        for at in 0..3 {
            let (_, reply) = self.admin(at).await;
            let number = at + 1;
            self.compare_reply(
                &format!("login on {number} after tries"),
                &doc! {"tries": 0, "r": reply},
            );
        }
        let (mut admin, reply) = self.admin(1).await;
        self.compare_reply("secondary login", &reply);
        self.await_status(1, |status| {
            members(status, |member| {
                int(member, "configTerm") == Some(1) && is_heard(member)
            }) && are_level(status)
        })
        .await;
        self.ask_all(
            &mut admin,
            "admin on secondary:hello",
            "admin on secondary:insert app.x",
        )
        .await;
    }

    pub(super) async fn users(&mut self) {
        let (mut primary, _) = self.admin(0).await;
        self.ask_all(&mut primary, "usersInfo dup create", "createUser no roles")
            .await;
        let (mut secondary, _) = self.admin(1).await;
        self.ask(&mut secondary, "createUser on secondary").await;
    }

    pub(super) async fn refused_reconfigs(&mut self) {
        let (mut primary, _) = self.admin(0).await;
        let (mut secondary, _) = self.admin(1).await;
        let id = |reply: &Document| {
            let settings = reply.get_document("config").unwrap().get_document("settings");
            settings.unwrap().get_object_id("replicaSetId").unwrap().to_hex()
        };
        let was = self.recording.get_document("admin on primary:replSetGetConfig");
        let was = id(was.unwrap().get_document("reply").unwrap());
        let is = primary
            .reply("admin", doc! {"replSetGetConfig": 1})
            .await
            .unwrap();
        self.set_id = Some((was, id(&is)));
        self.ask_all(&mut primary, "reconfig:same version", "reconfig:two votes")
            .await;
        self.ask(&mut secondary, "reconfig:on secondary").await;
        self.ask_all(&mut primary, "reconfig:myself out", "reconfig:self priority 0")
            .await;
    }

    pub(super) async fn votes(&mut self) {
        let (mut primary, _) = self.admin(0).await;
        let (mut secondary, _) = self.admin(1).await;
        self.ask_all(&mut primary, "reconfig:vote for 2nd", "after vote:commitment")
            .await;
        self.ask(&mut secondary, "after vote:commitment on secondary")
            .await;
        self.ask_all(&mut primary, "after vote:commitment 1s", "reconfig:vote for 3rd")
            .await;
        let version = version(&mut primary).await;
        self.compare_rows("versions after vote for 3rd", vec![version]);
        self.ask(&mut primary, "reconfig:priorities").await;
        self.await_config(0, 20).await;
        self.ask_all(&mut primary, "status of three", "config of three")
            .await;

        // Two at once: the first is still being carried out when the second comes.
        let reply = primary
            .reply("admin", doc! {"replSetGetConfig": 1})
            .await
            .unwrap();
        let mut config = reply.get_document("config").unwrap().clone();
        config.insert("version", 21);
        let ask = doc! {"replSetReconfig": config};
        self.cluster.node(0).lock().repl.reconfiguring = true;
        let second = primary.reply("admin", ask.clone()).await.unwrap();
        self.cluster.node(0).lock().repl.reconfiguring = false;
        let first = primary.reply("admin", ask).await.unwrap();
        let was = self.entry("reconfig:concurrent");
        self.compare(
            "reconfig:concurrent",
            &doc! {"": was},
            &doc! {"": [first, second]},
        );
    }

    pub(super) async fn unreachable_member(&mut self) {
        let (mut primary, _) = self.admin(0).await;
        let (mut secondary, _) = self.admin(1).await;
        self.ask(&mut primary, "reconfig:add unreachable votes0").await;
        self.await_status(0, |status| {
            members(status, |member| {
                int(member, "_id") == Some(9) && int(member, "state") == Some(8)
                    || int(member, "configVersion") == Some(22)
            })
        })
        .await;
        self.ask_all(
            &mut primary,
            "status with unreachable",
            "reconfig:remove unreachable",
        )
        .await;
        self.ask(&mut secondary, "stepdown on secondary").await;
        self.ask_all(&mut primary, "stepdown negative", "stepdown short")
            .await;
    }

    pub(super) async fn lost_majority(&mut self) {
        let (mut primary, _) = self.admin(0).await;
        // A secondary goes on for a while after it was told to stop.
        let (mut leaving, _) = self.admin(2).await;
        self.tell(2, "quiesce_ms = 3600000").await;
        let stop = tokio::spawn(self.cluster.take(2).stop());
        wait(async || {
            let hello = leaving.reply("admin", doc! {"hello": 1}).await.unwrap();
            int(&hello, "code") == Some(91)
        })
        .await;
        let status = leaving.ask("admin", doc! {"replSetGetStatus": 1}).await;
        assert_eq!(int(&status.unwrap(), "myState"), Some(2));
        self.tell(2, "quiesce_ms = 0").await;
        stop.await.unwrap();
        self.entry("stop secondary 3 (SIGTERM)");

        let insert = doc! {"insert": "x", "documents": [{"a": 2}], "writeConcern": {"w": "majority"}};
        primary.ask("app", insert).await.unwrap();
        self.await_status(0, |status| {
            let down = |member: &Document| int(member, "state") == Some(8);
            members(status, |member| (int(member, "_id") == Some(2)) == down(member)) && are_level(status)
        })
        .await;
        // The primary has not noticed the second loss yet.
        self.tell(0, "deaf = true").await;
        self.cluster.kill(1).await;
        self.entry("stop secondary 2 (SIGKILL)");
        self.ask_all(
            &mut primary,
            "reconfig:without majority",
            "without majority:status",
        )
        .await;
        let role = self.role(0).await;
        self.compare_rows("without majority:steps down after", vec![role[1..3].to_vec()]);
        self.tell(0, "").await;
        self.await_status(0, |status| {
            members(status, |member| {
                member.contains_key("self") || int(member, "state") == Some(8)
            })
        })
        .await;
        self.ask_all(&mut primary, "no primary:status", "no primary:reconfig")
            .await;
    }

    pub(super) async fn step_down(&mut self) {
        let (mut first, _) = self.admin(0).await;
        for at in [1, 2] {
            self.tell(at, "").await;
            self.boot(at).await;
            self.await_secondary(at).await;
        }
        // It stepped down for ten seconds, which are not waited for.
        first.ask("admin", doc! {"replSetFreeze": 0}).await.unwrap();
        let is_up = |member: &Document| int(member, "health") == Some(1);
        self.await_status(0, |status| members(status, is_up)).await;
        self.elect(0);
        self.await_primary(0).await;
        self.compare_untimed("majority back: primary after", &doc! {"who": 1});
        for at in 0..3 {
            self.await_config(at, 23).await;
        }
        self.await_status(0, |status| {
            members(status, |member| int(member, "configTerm") == Some(2)) && are_level(status)
        })
        .await;
        // The new primary does not know yet that the others have its term, and the old one is behind it.
        self.tell(1, "deaf = true").await;
        self.tell(0, "never_catch_up = true").await;
        self.ask(&mut first, "stepdown:good").await;
        self.await_primary(1).await;
        self.compare_untimed("stepdown: new primary after", &doc! {"old": 1, "new": 2});
        self.await_status(0, |status| {
            members(status, |member| {
                let is_behind = member.contains_key("self");
                int(member, "configTerm") == Some(3) && (is_behind || term(member, "optime") == Some(3))
            })
        })
        .await;
        self.ask_all(
            &mut first,
            "stepdown: old connection hello",
            "stepdown: old status",
        )
        .await;
        let (mut second, _) = self.admin(1).await;
        let ask = doc! {"replSetGetConfig": 1, "commitmentStatus": true};
        let reply = second.reply("admin", ask).await.unwrap();
        self.compare_reply("config after stepdown", &reply);
        let before = version(&mut second).await;
        self.tell(1, "").await;
        wait(async || version(&mut second).await[2] == Bson::Boolean(true)).await;
        let after = version(&mut second).await;
        self.compare_rows("versions after stepdown", vec![before, after]);
    }

    pub(super) async fn restarts(&mut self) {
        self.tell(0, "").await;
        self.cluster.stop(0).await;
        self.entry("restart secondary stop");
        self.boot(0).await;
        self.entry("restart secondary start");
        self.await_secondary(0).await;
        self.entry("restart secondary is SECONDARY after");
        // The third server is the next primary.
        let (mut frozen, _) = self.admin(0).await;
        frozen.ask("admin", doc! {"replSetFreeze": 600}).await.unwrap();
        self.await_status(1, are_level).await;
        self.cluster.stop(1).await;
        self.entry("stop primary (SIGTERM)");
        self.await_primary(2).await;
        self.entry("new primary after primary SIGTERM");
        self.boot(1).await;
        self.await_secondary(1).await;
    }

    pub(super) async fn removed_member(&mut self) {
        let (mut primary, _) = self.admin(2).await;
        wait(async || version(&mut primary).await == [Bson::Int32(23), Bson::Int64(4), Bson::Boolean(true)])
            .await;
        self.ask(&mut primary, "reconfig:remove member").await;
        wait(async || self.role(0).await[0] == Bson::Null).await;
        let (mut removed, reply) = self.admin(0).await;
        self.compare_reply("removed:login", &reply);
        self.ask_all(&mut removed, "removed:hello", "removed:getDefaultRWConcern")
            .await;
        let mut nobody = self.nobody(0).await;
        self.ask(&mut nobody, "removed:nobody hello").await;
        self.ask(&mut primary, "reconfig:add back").await;
        self.await_secondary(0).await;
        self.entry("added back is SECONDARY after");
    }

    pub(super) async fn arbiter(&mut self) {
        let (mut primary, _) = self.admin(2).await;
        self.ask_all(
            &mut primary,
            "reconfig:add voter at once",
            "rwconcern with arbiter",
        )
        .await;
        let mut nobody = self.nobody(3).await;
        let ask = doc! {"replSetGetStatus": 1};
        wait(async || {
            let Ok(status) = nobody.ask("admin", ask.clone()).await else {
                return false;
            };
            let applied = status.get_document("optimes").unwrap();
            is_settled(&status, 27) && term(applied, "appliedOpTime") == Some(4)
        })
        .await;
        self.ask_all(&mut nobody, "arbiter nobody:hello", "arbiter nobody:insert app.x")
            .await;
        let refused = nobody.prove("admin", "admin", "pw", true).await;
        self.compare_reply("arbiter login", &refused);
        self.await_config(2, 27).await;
        self.ask_all(&mut primary, "status with arbiter", "reconfig:remove arbiter")
            .await;
        wait(async || self.role(3).await[0] == Bson::Null).await;
        self.ask_all(&mut nobody, "removed arbiter hello", "removed arbiter status")
            .await;
        // Who is no secondary stops at once.
        self.tell(3, "quiesce_ms = 3600000").await;
        self.cluster.stop(3).await;
        self.entry("stop arbiter");
    }

    pub(super) async fn fresh_voter(&mut self) {
        let (mut primary, _) = self.admin(2).await;
        std::fs::remove_dir_all(self.cluster.db_path(3)).unwrap();
        std::fs::create_dir(self.cluster.db_path(3)).unwrap();
        self.tell(3, "never_catch_up = true").await;
        self.boot(3).await;
        self.ask(&mut primary, "reconfig:add fresh voter at once").await;
        let before = new_member(&mut primary).await;
        self.tell(3, "").await;
        wait(async || {
            new_member(&mut primary).await[..3] == [Bson::Int32(30), Bson::Int64(4), Bson::Boolean(true)]
        })
        .await;
        let after = new_member(&mut primary).await;
        self.compare_rows(
            "versions after adding a fresh voter",
            vec![before, after.clone(), after],
        );
        let ask = doc! {"find": "system.replset", "limit": 1};
        let reply = primary.reply("local", ask).await.unwrap();
        self.compare_reply("local.system.replset", &reply);
        self.ask(&mut primary, "reconfig:force").await;
        let reply = primary
            .reply("admin", doc! {"replSetGetConfig": 1})
            .await
            .unwrap();
        let config = reply.get_document("config").unwrap().clone();
        let reply = primary
            .reply("admin", doc! {"replSetReconfig": config, "force": true})
            .await;
        self.compare_reply("force reconfig", &reply.unwrap());
    }

    pub(super) async fn default_concern(&mut self) {
        let (mut primary, _) = self.admin(2).await;
        self.ask_all(&mut primary, "setDefaultRWConcern", "getDefaultRWConcern set")
            .await;
    }

    /// Waits until a member sees all others in a version of the configuration, and up.
    async fn await_config(&self, at: usize, version: i32) {
        self.await_status(at, |status| is_settled(status, version)).await;
    }

    /// Compares what was recorded with a time.
    fn compare_untimed(&mut self, situation: &str, is: &Document) {
        let mut was = self.entry(situation).as_document().unwrap().clone();
        was.remove("s");
        self.compare(situation, &was, is);
    }
}

/// The term of a time.
fn term(document: &Document, key: &str) -> Option<i64> {
    document.get_document(key).ok()?.get_i64("t").ok()
}

/// Whether all members are up in a version of the configuration, with a state that one waits for.
fn is_settled(status: &Document, version: i32) -> bool {
    members(status, |member| {
        let state = member.get_i32("state").unwrap();
        let is_known = [1, 2, 7].contains(&state) && int(member, "configVersion") == Some(version.into());
        is_known && is_heard(member) && (state == 7 || term(member, "optime").is_some_and(|term| term > 0))
    }) && are_level(status)
}

/// Whether a member has asked the one whose status it is.
fn is_heard(member: &Document) -> bool {
    let received = member.get_datetime("lastHeartbeatRecv");
    received.map_or(member.contains_key("self"), |at| at.timestamp_millis() > 0)
}

/// Whether all members that are up and hold data are as far as the first of them, and a majority is known to be.
fn are_level(status: &Document) -> bool {
    let optimes = status.get_document("optimes").unwrap();
    if optimes.get("lastCommittedOpTime") != optimes.get("appliedOpTime") {
        return false;
    }
    let members = status
        .get_array("members")
        .unwrap()
        .iter()
        .filter_map(Bson::as_document);
    let up = members.filter(|member| int(member, "health") == Some(1));
    let mut places = up.filter_map(|member| member.get("optime"));
    let first = places.next();
    places.all(|place| Some(place) == first)
}

/// The configuration's version, term and commitment, and of its last member whether it is new, and its vote.
async fn new_member(primary: &mut Client) -> Vec<Bson> {
    let mut seen = version(primary).await;
    let reply = primary.ask("admin", doc! {"replSetGetConfig": 1}).await.unwrap();
    let members = reply
        .get_document("config")
        .unwrap()
        .get_array("members")
        .unwrap();
    let last = members.last().unwrap().as_document().unwrap();
    seen.extend(["newlyAdded", "votes"].map(|key| last.get(key).cloned().unwrap_or(Bson::Null)));
    seen
}
