//! From bare servers with a key file to a set with users.

use bson::doc;
use standins::mongod::server::Server;

use super::harness::{Cluster, states};

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_a_bootstrap_and_what_is_refused_on_the_way() {
    let mut cluster = Cluster::start(3, true).await;
    let hello = cluster.ask(0, doc! {"hello": 1}).await.unwrap();
    assert!(!hello.get_bool("isWritablePrimary").unwrap() && !hello.get_bool("secondary").unwrap());
    assert!(hello.get_bool("isreplicaset").unwrap() && !hello.contains_key("setName"));
    assert_eq!(cluster.ask(0, doc! {"replSetGetStatus": 1}).await, Err(94));
    // The localhost exception lets no more than it must.
    for command in [
        doc! {"replSetGetConfig": 1},
        doc! {"getCmdLineOpts": 1},
        doc! {"serverStatus": 1},
    ] {
        assert_eq!(cluster.ask(0, command).await, Err(13));
    }
    // A real 4.9 says so before it looks who asks; what it holds is seen by nobody.
    assert_eq!(cluster.ask(0, doc! {"listDatabases": 1}).await, Err(13436));
    let root = doc! {"createUser": "root", "pwd": "secret", "roles": ["root"]};
    assert_eq!(cluster.ask(0, root.clone()).await, Err(10107));
    let initiate = |config| cluster.ask(0, doc! {"replSetInitiate": config});
    let mut wrong = cluster.config(1, &[0, 1, 2]);
    wrong.insert("_id", "rs1");
    assert_eq!(initiate(wrong).await, Err(93));
    assert_eq!(initiate(cluster.config(1, &[1, 2])).await, Err(93));
    let mut unreachable = cluster.config(1, &[0]);
    unreachable
        .get_array_mut("members")
        .unwrap()
        .push(doc! {"_id": 1, "host": "127.0.0.1:1"}.into());
    assert_eq!(initiate(unreachable).await, Err(74));
    initiate(cluster.config(1, &[0, 1, 2])).await.unwrap();
    assert_eq!(initiate(cluster.config(1, &[0, 1, 2])).await, Err(23));

    assert_eq!(cluster.primary().await, 0);
    let mut client = cluster.client(0).await;
    assert_eq!(client.ask("app", root.clone()).await, Err(13), "only on admin");
    client.ask("admin", root.clone()).await.unwrap();
    assert_eq!(
        client.ask("admin", root.clone()).await,
        Err(13),
        "the exception has ended"
    );
    assert_eq!(client.log_in("root", "wrong").await, Err(18));
    client.log_in("root", "secret").await.unwrap();
    assert_eq!(client.ask("admin", root).await, Err(51003));
    assert_eq!(
        client
            .ask("admin", doc! {"updateUser": "nobody", "pwd": "x"})
            .await,
        Err(11)
    );
    let status = client.ask("admin", doc! {"replSetGetStatus": 1}).await.unwrap();
    assert_eq!(states(&status)[0], (0, "PRIMARY".into()));

    // Users are everywhere, and after a restart too.
    cluster.await_login(1).await;
    cluster.kill(1).await;
    cluster.boot(1).await;
    cluster.await_login(1).await;
}

impl Cluster {
    async fn await_login(&self, at: usize) {
        for _ in 0..300 {
            let mut client = self.client(at).await;
            if client.log_in("root", "secret").await.is_ok() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
        panic!("no login on {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_set_name_there_is_no_replication_and_writes_stay() {
    let mut cluster = Cluster::start(2, false).await;
    cluster.kill(0).await;
    let alone = standins::mongod::config::Options {
        repl_set: None,
        ..cluster.options(0)
    };
    cluster.boot_with(0, alone).await;
    let hello = cluster.ask(0, doc! {"hello": 1}).await.unwrap();
    assert!(hello.get_bool("isWritablePrimary").unwrap() && !hello.contains_key("isreplicaset"));
    for command in [
        doc! {"replSetInitiate": {}},
        doc! {"replSetGetStatus": 1},
        doc! {"replSetReconfig": {}},
    ] {
        assert_eq!(cluster.ask(0, command).await, Err(76));
    }
    assert_eq!(cluster.client(0).await.insert(1).await, Ok(None));
    cluster.kill(0).await;
    cluster.boot(0).await;
    let config = cluster.config(1, &[0, 1]);
    cluster.ask(0, doc! {"replSetInitiate": config}).await.unwrap();
    cluster.await_states(2, "SECONDARY", 1).await;
    assert_eq!(cluster.client(1).await.ids().await, [1]);
}

/// As a real one does, it asks nobody whether they have data; who has some drops it for the set's.
#[tokio::test(flavor = "multi_thread")]
async fn an_initiate_elsewhere_takes_the_data_of_a_member_away() {
    let mut cluster = Cluster::start(2, false).await;
    cluster.kill(0).await;
    let alone = standins::mongod::config::Options {
        repl_set: None,
        ..cluster.options(0)
    };
    cluster.boot_with(0, alone).await;
    assert_eq!(cluster.client(0).await.insert(1).await, Ok(None));
    cluster.kill(0).await;
    cluster.boot(0).await;
    let mut config = cluster.config(1, &[0, 1]);
    let other = config.get_array_mut("members").unwrap()[0].as_document_mut();
    other.unwrap().extend(doc! {"votes": 0, "priority": 0});
    cluster.ask(1, doc! {"replSetInitiate": config}).await.unwrap();
    cluster.await_states(2, "SECONDARY", 1).await;
    assert_eq!(cluster.client(0).await.ids().await, [0; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_another_set_or_with_another_key_takes_no_part() {
    let mut cluster = Cluster::start(3, true).await;
    cluster
        .ask(1, doc! {"replSetInitiate": cluster.config(1, &[1])})
        .await
        .unwrap();
    assert_eq!(
        cluster
            .ask(0, doc! {"replSetInitiate": cluster.config(1, &[0, 1])})
            .await,
        Err(103)
    );
    cluster.kill(2).await;
    let mut options = cluster.options(2);
    options.key_file = Some(cluster.write_key(2, "another0"));
    cluster.boot_with(2, options.clone()).await;
    assert_eq!(
        cluster
            .ask(0, doc! {"replSetInitiate": cluster.config(1, &[0, 2])})
            .await,
        Err(74)
    );
    cluster.kill(2).await;
    options.key_file = Some(cluster.write_key(0, "Y2x1c3RlcmN0bA=="));
    options.repl_set = Some("rs1".into());
    cluster.boot_with(2, options).await;
    assert_eq!(
        cluster
            .ask(0, doc! {"replSetInitiate": cluster.config(1, &[0, 2])})
            .await,
        Err(103)
    );
}

#[tokio::test]
async fn what_ends_a_start() {
    let cluster = Cluster::start(1, false).await;
    let exit = async |options| {
        Server::start(options)
            .await
            .err()
            .map(|error| (error.exit, error.message))
    };
    let taken = exit(cluster.options(0)).await.unwrap();
    assert!(taken.0 == 100 && taken.1.starts_with("DBPathInUse"), "{taken:?}");
    let mut options = cluster.options(0);
    options.db_path = "/no/such/directory".into();
    assert!(
        exit(options.clone())
            .await
            .unwrap()
            .1
            .starts_with("NonExistentPath")
    );
    let elsewhere = tempfile::tempdir().unwrap();
    options.db_path = elsewhere.path().into();
    assert_eq!(exit(options.clone()).await.unwrap().0, 48, "the port is taken");
    options.bind = vec!["no-such-host.invalid".into()];
    assert!(exit(options.clone()).await.unwrap().1.contains("HostNotFound"));
    let key = elsewhere.path().join("key");
    std::fs::write(&key, "abcdef").unwrap();
    options.key_file = Some(key);
    let error = exit(options).await.unwrap();
    assert!(error.0 == 1 && error.1.ends_with("are too open"), "{error:?}");
    assert!(cluster.log(0).contains("are too open"), "and the log says so");
}
