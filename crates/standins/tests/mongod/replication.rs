//! How data gets from member to member, and how a test slows that down.

use std::time::Duration;

use bson::{Bson, Document, doc};

use super::harness::Cluster;

fn place(status: &Document, id: usize) -> u32 {
    let members = status
        .get_array("members")
        .unwrap()
        .iter()
        .filter_map(Bson::as_document);
    let member = members
        .into_iter()
        .find(|m| m.get_i32("_id").unwrap() == i32::try_from(id).unwrap())
        .unwrap();
    member
        .get_document("optime")
        .unwrap()
        .get_timestamp("ts")
        .unwrap()
        .time
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_can_be_told_to_lag() {
    let cluster = Cluster::initiated(3).await;
    let primary = cluster.primary().await;
    let slow = (primary + 1) % 3;
    cluster.control(slow, "lag_ms = 3000");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut client = cluster.client(primary).await;
    assert_eq!(client.insert(1).await, Ok(None), "two of three are enough");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(client.insert(2).await, Ok(None));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let status = cluster.ask(primary, doc! {"replSetGetStatus": 1}).await.unwrap();
    assert!(place(&status, slow) < place(&status, primary));
    assert_eq!(cluster.client(slow).await.ids().await, [0; 0]);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(cluster.client(slow).await.ids().await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oplog_can_be_read_and_its_window_told() {
    let mut cluster = Cluster::initiated(3).await;
    let primary = cluster.primary().await;
    let mut client = cluster.client(primary).await;
    client.insert(1).await.unwrap();
    let newest = doc! {"find": "oplog.rs", "sort": {"$natural": -1}, "limit": 1};
    let reply = client.ask("local", newest).await.unwrap();
    let batch = reply
        .get_document("cursor")
        .unwrap()
        .get_array("firstBatch")
        .unwrap();
    assert_eq!(
        batch[0].as_document().unwrap().get_document("o").ok(),
        Some(&doc! {"_id": 1})
    );
    let window = |status: &Document| {
        let oplog = status.get_document("oplog").unwrap();
        oplog.get_timestamp("latestOptime").unwrap().time
            - oplog.get_timestamp("earliestOptime").unwrap().time
    };
    tokio::time::sleep(Duration::from_secs(3)).await;
    client.insert(2).await.unwrap();
    let ask = doc! {"serverStatus": 1, "oplog": 1};
    assert!(window(&cluster.ask(primary, ask.clone()).await.unwrap()) >= 3);

    // A member that was away for longer than the window cannot catch up any more.
    let away = (primary + 1) % 3;
    cluster.kill(away).await;
    client.insert(3).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    client.insert(4).await.unwrap();
    for at in 0..3 {
        cluster.control(at, "oplog_window_s = 1");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(window(&cluster.ask(primary, ask).await.unwrap()) <= 1);
    cluster.boot(away).await;
    cluster.await_states(3, "RECOVERING", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_are_sent_again_are_done_once() {
    let cluster = Cluster::initiated(1).await;
    let mut client = cluster.client(0).await;
    let increment = doc! {
        "update": "c", "updates": [{"q": {"_id": 1}, "u": {"$inc": {"n": 1}}, "upsert": true}],
        "lsid": {"id": "session"}, "txnNumber": 7_i64,
    };
    for _ in 0..2 {
        assert_eq!(
            client
                .ask("app", increment.clone())
                .await
                .unwrap()
                .get_i32("n")
                .ok(),
            Some(1)
        );
    }
    let reply = client.ask("app", doc! {"find": "c"}).await.unwrap();
    let batch = reply
        .get_document("cursor")
        .unwrap()
        .get_array("firstBatch")
        .unwrap();
    assert_eq!(batch, &vec![Bson::from(doc! {"_id": 1, "n": 1})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn secondaries_answer_who_asks_for_them_only() {
    let cluster = Cluster::initiated(3).await;
    let secondary = (cluster.primary().await + 1) % 3;
    let mut client = cluster.client(secondary).await;
    assert_eq!(client.insert(1).await, Err(10107));
    assert_eq!(client.ask("app", doc! {"find": "c"}).await, Err(13435));
    assert_eq!(client.ids().await, [0; 0]);
    assert_eq!(client.ask("admin", doc! {"replSetGetRBID": 1}).await, Err(59));
}
