//! How members are added, changed and removed, and which configurations are refused.

use bson::{Bson, Document, doc};

use super::harness::{Cluster, states};

async fn with_newcomer() -> (Cluster, usize) {
    let cluster = Cluster::start(4, false).await;
    cluster
        .ask(0, doc! {"replSetInitiate": cluster.config(1, &[0, 1, 2])})
        .await
        .unwrap();
    cluster.await_states(3, "SECONDARY", 2).await;
    let primary = cluster.primary().await;
    (cluster, primary)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_joins_without_a_vote_then_votes_then_goes() {
    let (cluster, primary) = with_newcomer().await;
    assert_eq!(cluster.client(primary).await.insert(1).await, Ok(None));
    let newcomer = doc! {"_id": 3, "host": cluster.host(3), "votes": 0, "priority": 0};
    let mut config = cluster.next_config(primary).await;
    config.get_array_mut("members").unwrap().push(newcomer.into());
    cluster.control(3, "never_catch_up = true");
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    cluster.reconfig(primary, config).await.unwrap();
    cluster.await_states(4, "STARTUP2", 1).await;
    assert_eq!(
        cluster
            .client(3)
            .await
            .ask("app", doc! {"find": "c", "$readPreference": {"mode": "nearest"}})
            .await,
        Err(13436)
    );
    cluster.control(3, "");
    cluster.await_states(4, "SECONDARY", 3).await;
    assert_eq!(cluster.client(3).await.ids().await, [1]);

    let mut config = cluster.next_config(primary).await;
    let member = config.get_array_mut("members").unwrap()[3]
        .as_document_mut()
        .unwrap();
    member.extend(doc! {"votes": 1, "priority": 1});
    cluster.reconfig(primary, config.clone()).await.unwrap();
    assert_eq!(
        cluster.reconfig(primary, config.clone()).await,
        Err(103),
        "a stale version"
    );

    config.insert("version", 9);
    let mut two_less = config.clone();
    two_less
        .get_array_mut("members")
        .unwrap()
        .retain(|m| m.as_document().unwrap().get_i32("_id").unwrap() == i32::try_from(primary).unwrap());
    assert_eq!(
        cluster.reconfig(primary, two_less).await,
        Err(103),
        "more than one vote"
    );
    config.get_array_mut("members").unwrap().pop();
    cluster.reconfig(primary, config).await.unwrap();
    cluster
        .until(3, doc! {"hello": 1}, |hello| !hello.contains_key("setName"))
        .await;
    assert_eq!(cluster.ask(3, doc! {"replSetGetStatus": 1}).await, Err(93));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_and_when_a_reconfig_is_refused() {
    let (cluster, primary) = with_newcomer().await;
    let secondary = (primary + 1) % 3;
    let config = cluster.next_config(primary).await;
    assert_eq!(cluster.reconfig(secondary, config.clone()).await, Err(10107));
    assert_eq!(
        cluster
            .ask(secondary, doc! {"replSetGetConfig": 1, "commitmentStatus": true})
            .await,
        Err(10107)
    );
    let mut unknown = config.clone();
    unknown.insert("memberz", 1);
    assert_eq!(cluster.reconfig(primary, unknown).await, Err(93));
    assert_eq!(
        cluster.ask(3, doc! {"replSetReconfig": config.clone()}).await,
        Err(94)
    );

    // The arbiter would change what a write without a concern waits for.
    let mut arbiter = config.clone();
    let members = arbiter.get_array_mut("members").unwrap();
    members.push(doc! {"_id": 3, "host": cluster.host(3), "arbiterOnly": true}.into());
    assert_eq!(cluster.reconfig(primary, arbiter).await, Err(103));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_arbiter_needs_a_default_write_concern_first() {
    let cluster = Cluster::start(3, false).await;
    cluster
        .ask(0, doc! {"replSetInitiate": cluster.config(1, &[0, 1])})
        .await
        .unwrap();
    cluster.await_states(2, "SECONDARY", 1).await;
    let primary = cluster.primary().await;
    let mut config = cluster.next_config(primary).await;
    config
        .get_array_mut("members")
        .unwrap()
        .push(doc! {"_id": 2, "host": cluster.host(2), "arbiterOnly": true}.into());
    assert_eq!(cluster.reconfig(primary, config.clone()).await, Err(103));
    let concern = doc! {"setDefaultRWConcern": 1, "defaultWriteConcern": {"w": 1}};
    cluster.ask(primary, concern).await.unwrap();
    cluster.reconfig(primary, config).await.unwrap();
    cluster.await_states(3, "ARBITER", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uncommitted_configuration_is_followed_by_none() {
    let (cluster, primary) = with_newcomer().await;
    let others: Vec<usize> = (0..3).filter(|at| *at != primary).collect();
    let status = doc! {"replSetGetConfig": 1, "commitmentStatus": true};
    let is_committed = |reply: &Document| {
        reply
            .get_bool("commitmentStatus")
            .is_ok_and(|committed| committed)
    };
    cluster.until(primary, status.clone(), is_committed).await;
    for at in &others {
        cluster.control(*at, "never_catch_up = true");
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let write = doc! {"insert": "c", "documents": [{"_id": 1}], "writeConcern": {"w": 1}};
    cluster.client(primary).await.ask("app", write).await.unwrap();
    let reconfig = async |limit: i32| {
        let config = cluster.next_config(primary).await;
        cluster
            .ask(primary, doc! {"replSetReconfig": config, "maxTimeMS": limit})
            .await
    };
    assert_eq!(
        reconfig(300).await,
        Err(50),
        "it is in force, but the write before it is nobody else's"
    );
    assert_eq!(reconfig(300).await, Err(308));
    let committed = cluster.ask(primary, status.clone()).await.unwrap();
    assert_eq!(committed.get_bool("commitmentStatus").ok(), Some(false));
    for at in &others {
        cluster.control(*at, "");
    }
    cluster.until(primary, status, is_committed).await;
    reconfig(5000).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_is_carried_out_another_is_109() {
    let (cluster, primary) = with_newcomer().await;
    // A member that takes connections and says nothing keeps the quorum check waiting.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = cluster.next_config(primary).await;
    let host = silent.local_addr().unwrap().to_string();
    config
        .get_array_mut("members")
        .unwrap()
        .push(doc! {"_id": 9, "host": host, "votes": 0, "priority": 0}.into());
    let slow = cluster.reconfig(primary, config.clone());
    let second = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        cluster.reconfig(primary, config.clone()).await
    };
    let (slow, second) = tokio::join!(slow, second);
    assert_eq!(second, Err(109));
    slow.unwrap();
    let status = cluster.ask(primary, doc! {"replSetGetStatus": 1}).await.unwrap();
    let new = states(&status).into_iter().find(|(id, _)| *id == 9).unwrap();
    assert!(
        ["STARTUP", "(not reachable/healthy)"].contains(&new.1.as_str()),
        "{new:?}"
    );
    assert!(
        status
            .get_array("members")
            .unwrap()
            .iter()
            .all(|m| m.as_document().unwrap().get("health") != Some(&Bson::Null))
    );
}
