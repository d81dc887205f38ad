//! Who is primary: after a crash, a stop, a step-down, and without a majority.

use bson::doc;

use super::harness::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_primary_is_replaced_and_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::initiated(3).await;
    let first = cluster.primary().await;
    let mut client = cluster.client(first).await;
    for id in 0..20 {
        assert_eq!(client.insert(id).await, Ok(None));
    }
    let term = cluster
        .ask(first, doc! {"replSetGetStatus": 1})
        .await
        .unwrap()
        .get_i64("term")
        .unwrap();
    cluster.kill(first).await;
    let second = cluster.primary().await;
    assert_ne!(first, second);
    let status = cluster.ask(second, doc! {"replSetGetStatus": 1}).await.unwrap();
    assert!(status.get_i64("term").unwrap() > term);
    let mut client = cluster.client(second).await;
    assert_eq!(client.ids().await, (0..20).collect::<Vec<_>>());
    assert_eq!(client.insert(20).await, Ok(None));
    cluster.boot(first).await;
    cluster.await_states(3, "SECONDARY", 2).await;
    cluster
        .until(first, doc! {"replSetGetStatus": 1}, |s| {
            s.get_i32("myState").is_ok_and(|state| state == 2)
        })
        .await;
    assert_eq!(
        cluster.client(first).await.ids().await,
        (0..21).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_nothing_is_acknowledged_and_what_was_written_alone_is_rolled_back() {
    let mut cluster = Cluster::initiated(3).await;
    let first = cluster.primary().await;
    let others: Vec<usize> = (0..3).filter(|at| *at != first).collect();
    assert_eq!(cluster.client(first).await.insert(1).await, Ok(None));
    for at in &others {
        cluster.kill(*at).await;
    }
    let mut client = cluster.client(first).await;
    let alone = client.insert(2).await.unwrap();
    assert!(alone == Some(64) || alone == Some(189), "{alone:?}");
    cluster
        .until(first, doc! {"hello": 1}, |hello| {
            !hello.get_bool("isWritablePrimary").unwrap()
        })
        .await;
    assert_eq!(client.insert(3).await, Err(10107));
    cluster.kill(first).await;
    for at in &others {
        cluster.boot(*at).await;
    }
    let second = cluster.primary().await;
    assert_eq!(cluster.client(second).await.insert(4).await, Ok(None));
    cluster.boot(first).await;
    cluster.await_states(3, "SECONDARY", 2).await;
    for _ in 0..300 {
        if cluster.client(first).await.ids().await == [1, 4] {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    panic!("not rolled back: {:?}", cluster.client(first).await.ids().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_hands_over_when_it_steps_down_or_stops() {
    let mut cluster = Cluster::initiated(3).await;
    let first = cluster.primary().await;
    let other = (first + 1) % 3;
    assert_eq!(cluster.ask(other, doc! {"replSetStepDown": 60}).await, Err(10107));
    assert_eq!(
        cluster.ask(first, doc! {"replSetStepDown": 5}).await,
        Err(2),
        "shorter than the catch-up"
    );
    cluster.control(first, "refuse_stepdown = true");
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let soon = doc! {"replSetStepDown": 60, "secondaryCatchUpPeriodSecs": 1};
    assert_eq!(cluster.ask(first, soon).await, Err(262));
    cluster.control(first, "");
    cluster.ask(first, doc! {"replSetStepDown": 60}).await.unwrap();
    let second = cluster.primary().await;
    assert_ne!(second, first);
    cluster
        .until(first, doc! {"hello": 1}, |hello| {
            hello.get_bool("secondary").unwrap()
        })
        .await;
    cluster.await_states(3, "SECONDARY", 2).await;
    cluster.stop(second).await;
    let third = cluster.primary().await;
    assert!(
        third != second && third != first,
        "who stepped down does not stand for its minute"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_highest_priority_takes_over() {
    let cluster = Cluster::initiated(3).await;
    let first = cluster.primary().await;
    let favourite = (first + 1) % 3;
    let mut config = cluster.next_config(first).await;
    config.get_array_mut("members").unwrap()[favourite]
        .as_document_mut()
        .unwrap()
        .insert("priority", 2);
    cluster.reconfig(first, config).await.unwrap();
    cluster
        .until(favourite, doc! {"hello": 1}, |hello| {
            hello.get_bool("isWritablePrimary").unwrap()
        })
        .await;
}
