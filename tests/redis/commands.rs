//! What the store's user must be allowed to do: the line in the store's documentation, no more and no less.

use super::eviction::Service;
use super::*;

/// The commands of the documentation's `ACL SETUSER`, such as `+get`.
fn documented() -> Vec<&'static str> {
    let docs = include_str!("../../src/store/redis/mod.rs");
    let line = docs
        .lines()
        .find_map(|line| line.strip_prefix("//! ACL SETUSER login on >password ~skewgate:* -@all "));
    line.unwrap().split(' ').collect()
}

/// Makes the user anew, with this and nothing else.
fn allow(server: &RedisServer, commands: &[&str]) {
    server.cli(&["ACL", "DELUSER", "login"]);
    let user = ["ACL", "SETUSER", "login", "on", ">password", "~skewgate:*", "-@all"];
    assert_eq!(server.cli(&[&user, commands].concat()).trim(), "OK");
}

fn as_user(server: &RedisServer) -> RedisBuilder {
    patient(&format!("redis://login:password@{}", server.address()))
}

/// All that a store does, in the order of its life.
async fn live(builder: RedisBuilder, servers: &[&RedisServer]) -> Result<(), String> {
    let store = Arc::new(builder.connect().await.map_err(|error| format!("opening: {error}"))?);
    let said = |what: &'static str| move |error: StoreError| format!("{what}: {error}");
    let ada = key("ada");
    store.write(&ada, enrol()).await.map_err(said("enrol"))?;
    put(&store, "ada", accept(11)).await.map_err(said("accept"))?;
    store.write(&ada, fail()).await.map_err(said("fail"))?;
    for server in servers {
        server.cli(&["SCRIPT", "FLUSH"]);
    }
    let state = TokenState { epoch: 8, watermark: None, nonce: [2; 8], drift: drift() };
    let seen = store.load(&ada).await.map_err(said("load"))?.seen();
    let renewal = Change::Renew(Renewal { epoch: 7, watermark: Some(step(11)), seen, state });
    for change in [renewal, Change::Reset(Reset { budget: Budget::full(NOW) })] {
        assert_eq!(store.write(&ada, change).await.map_err(said("renew, reset"))?, Written::Done);
    }
    let mut count = 0;
    let mut visit = |_| {
        count += 1;
        ControlFlow::Continue(())
    };
    store.scan(&mut visit).await.map_err(said("scan"))?;
    assert_eq!(count, 1);
    for server in servers {
        // One that is no more: it is taken off the list. In a Cluster others say who has that.
        server.cli(&["HSET", "skewgate:\u{1}store", "node:gone", ""]);
    }
    store.set_not_before(NOW + SignedDuration::from_secs(-3600)).await.map_err(said("set_not_before"))?;
    store.write(&ada, Change::Remove).await.map_err(said("remove"))?;
    Ok(())
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn the_documented_commands_are_enough_and_each_is_needed() {
    let server = RedisServer::durable();
    let commands = documented();
    assert!(commands.len() > 10);
    run(async {
        allow(&server, &commands);
        live(as_user(&server), &[&server]).await.unwrap();
        server.cli(&["FLUSHALL"]);
        // As a service uses it.
        let service = Service::new(Arc::new(as_user(&server).connect().await.unwrap())).await;
        assert!(!service.show(&Attempt::parse("000000").unwrap()).await.is_accepted());
        service.refuses_the_used_code().await;
        for missing in &commands {
            server.cli(&["FLUSHALL"]);
            server.cli(&["SCRIPT", "FLUSH"]);
            let others: Vec<_> = commands.iter().copied().filter(|command| command != missing).collect();
            allow(&server, &others);
            let failed = live(as_user(&server), &[&server]).await;
            println!("without {missing}: {failed:?}");
            assert!(failed.is_err(), "{missing} is not needed");
        }
    });
}

/// Scripts that the server knows are run by name, until it is started anew.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_missing_right_shows_when_the_store_is_opened() {
    let server = RedisServer::durable();
    let replica = server.replica(DURABLE);
    run(async {
        let commands = documented();
        allow(&server, &commands);
        live(as_user(&server), &[]).await.unwrap();
        for missing in ["+eval", "+evalsha", "+ping", "+info", "+config|get", "+exists"] {
            let others: Vec<_> = commands.iter().copied().filter(|command| *command != missing).collect();
            allow(&server, &others);
            let refused = as_user(&server).connect().await.map(drop).unwrap_err().to_string();
            assert!(refused.contains("no permissions"), "{missing}: {refused}");
        }
        let confirmed = || as_user(&server).confirmation(Confirmation::Replicas(1));
        allow(&server, &commands);
        let refused = confirmed().connect().await;
        assert!(
            matches!(&refused, Err(RedisConnectError::CommandRefused { said, .. }) if said.contains("wait"))
        );
        allow(&server, &[&commands[..], &["+wait"]].concat());
        live(confirmed(), &[]).await.unwrap();
        drop(replica);
    });
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn the_documented_commands_are_enough_in_a_cluster() {
    let cluster = RedisCluster::new(DURABLE);
    let nodes: Vec<_> = cluster.nodes.iter().collect();
    run(async {
        let commands = documented();
        for more in [&["+cluster|slots", "+asking"][..], &["+cluster|slots"], &["+asking"]] {
            for node in &nodes {
                node.cli(&["FLUSHALL"]);
                allow(node, &[&commands[..], more].concat());
            }
            let lived = live(as_user(nodes[0]), &nodes).await;
            assert_eq!(lived.is_ok(), more.len() == 2, "{more:?}: {lived:?}");
        }
    });
}
