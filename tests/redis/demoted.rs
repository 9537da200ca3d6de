//! A primary that becomes a replica, on purpose or not, while a service is connected to it: Redis leaves the connections open.

use super::eviction::Service;
use super::*;
use skewgate::validator::Reason;

/// Then the address leads there, for new connections.
fn hand_over(from: &RedisServer, to: &RedisServer, relay: &TcpRelay) {
    from.hand_over(to);
    relay.lead_to(to.address());
}

async fn through(relay: &TcpRelay) -> Arc<RedisStore> {
    Arc::new(patient(&url(relay.address())).connect().await.unwrap())
}

/// Long enough for the connection to count as an old one.
async fn get_older() {
    tokio::time::sleep(Duration::from_millis(150)).await;
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_service_follows_a_planned_failover_and_accepts_nothing_twice() {
    let primary = RedisServer::durable();
    let replica = primary.replica(DURABLE);
    let relay = TcpRelay::to(primary.address(), 1);
    run(async {
        let store = through(&relay).await;
        assert_eq!(write(&store, enrol()).await, Written::Done);
        let service = Service::new(store.clone()).await;
        let late = decided(&store, "ada", accept(11)).await.unwrap();
        get_older().await;
        hand_over(&primary, &replica, &relay);
        // What is on its way finds a replica, which takes no write, or its successor, which isn't who it was decided from.
        let late = store.write(&key("ada"), late).await;
        assert!(matches!(late, Ok(Written::Refused) | Err(_)), "{late:?}");
        let refused = service.refusal(&service.used).await;
        assert!(matches!(refused.reason(), Reason::StoreReplaced), "as a restart is noticed: {refused:?}");
        for attempt in [&service.used, &service.shown(0)] {
            assert!(!service.show(attempt).await.is_accepted(), "the codes of that moment are dead");
        }
        service.time.advance(Duration::from_secs(60));
        let next = service.shown(0);
        assert!(service.show(&next).await.is_accepted());
        assert!(!service.show(&next).await.is_accepted());
    });
}

/// The replica had stopped to follow before the last code was used: its user table knows nothing of that.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_code_that_the_successor_knows_nothing_of_stays_used() {
    let primary = RedisServer::durable();
    let replica = primary.replica(DURABLE);
    let relay = TcpRelay::to(primary.address(), 1);
    run(async {
        let store = through(&relay).await;
        let mut service = Service::new(store.clone()).await;
        replica.wait_for(&["GET", "skewgate:user-42"], &primary.cli(&["GET", "skewgate:user-42"]));
        replica.cli(&["REPLICAOF", "127.0.0.1", "1"]);
        service.time.advance(Duration::from_secs(30));
        service.used = service.shown(0);
        assert!(service.show(&service.used).await.is_accepted());
        get_older().await;
        promote(&replica);
        primary.cli(&["REPLICAOF", "127.0.0.1", &replica.address().port().to_string()]);
        relay.lead_to(replica.address());
        let refused = service.refusal(&service.used).await;
        assert!(matches!(refused.reason(), Reason::StoreReplaced), "{refused:?}");
        // Until no code that could have been used by then is looked for any more.
        for _ in 0..12 {
            assert!(!service.show(&service.used).await.is_accepted());
            service.time.advance(Duration::from_secs(30));
        }
        service.time.advance(Duration::from_secs(30));
        assert!(service.show(&service.shown(0)).await.is_accepted());
    });
}

/// It was refused and not done, and who asks again is heard by the successor. A write is not repeated by itself.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_write_that_a_replica_refuses_is_an_error_once() {
    let primary = RedisServer::durable();
    let replica = primary.replica(DURABLE);
    let relay = TcpRelay::to(primary.address(), 1);
    run(async {
        let store = through(&relay).await;
        assert_eq!(write(&store, enrol()).await, Written::Done);
        // The server knows the script.
        assert_eq!(store.write(&key("ada"), fail()).await.unwrap(), Written::Done);
        get_older().await;
        hand_over(&primary, &replica, &relay);
        let refused = store.write(&key("ada"), fail()).await;
        assert!(
            matches!(&refused, Err(StoreError::Failed { source, .. }) if source.to_string().contains("read only replica")),
            "{refused:?}"
        );
        assert_eq!(store.write(&key("ada"), fail()).await.unwrap(), Written::Done);
        assert_eq!(load(&store).await.row.budget.unwrap().failures(), 2);
    });
}

/// Under `replica-serve-stale-data no` it answers to nothing but `INFO` until it has found its primary.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn who_waits_for_its_own_primary_is_left_too() {
    let stale = [DURABLE, &[("replica-serve-stale-data", "no")]].concat();
    let primary = RedisServer::with(&stale);
    let replica = primary.replica(DURABLE);
    let relay = TcpRelay::to(primary.address(), 1);
    run(async {
        let store = through(&relay).await;
        assert_eq!(write(&store, enrol()).await, Written::Done);
        has_ada(&replica);
        get_older().await;
        promote(&replica);
        primary.cli(&["REPLICAOF", "127.0.0.1", "1"]);
        assert!(primary.cli(&["GET", "skewgate:ada"]).contains("MASTERDOWN"));
        relay.lead_to(replica.address());
        assert_eq!(watermark(&load(&store).await), Some(10));
    });
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_scan_shows_what_the_successor_has() {
    let primary = RedisServer::durable();
    let replica = primary.replica(DURABLE);
    let relay = TcpRelay::to(primary.address(), 1);
    run(async {
        let store = through(&relay).await;
        assert_eq!(write(&store, enrol()).await, Written::Done);
        get_older().await;
        hand_over(&primary, &replica, &relay);
        // It hears nothing more.
        primary.cli(&["REPLICAOF", "127.0.0.1", "1"]);
        let other = open(&replica).await;
        assert_eq!(other.write(&key("eve"), enrol()).await.unwrap(), Written::Done);
        assert_eq!(scanned(&store).await, 2);
    });
}

/// What one server calls the next place means nothing to another: an export would lack tokens, and nobody would know.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_scan_that_is_handed_over_lacks_nothing() {
    let primary = RedisServer::durable();
    let replica = primary.replica(DURABLE);
    let relay = TcpRelay::to(primary.address(), 1);
    run(async {
        let store = through(&relay).await;
        let names: Vec<_> = (0..3_000).map(|number| format!("token {number}")).collect();
        let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
        for key in &keys {
            assert_eq!(store.write(key, enrol()).await.unwrap(), Written::Done);
        }
        replica.wait_for(&["DBSIZE"], "3001");
        get_older().await;
        let mut shown = Vec::new();
        let mut visit = |record: skewgate::store::Record| {
            shown.push(record.key.token().as_str().to_owned());
            if shown.len() == 100 {
                hand_over(&primary, &replica, &relay);
            }
            ControlFlow::Continue(())
        };
        store.scan(&mut visit).await.unwrap();
        shown.sort_unstable();
        let mut names = names.clone();
        names.sort_unstable();
        assert_eq!(shown, names);
    });
}

/// The service has asked for nothing since, so it doesn't know.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_cluster_whose_node_was_demoted_is_scanned_and_asked_without_an_error() {
    let cluster = RedisCluster::new(DURABLE);
    let (primary, replica) = (&cluster.nodes[0], RedisCluster::node(DURABLE));
    let id = primary.cli(&["CLUSTER", "MYID"]).trim().to_owned();
    let known = primary.cli(&["CLUSTER", "NODES"]);
    let myself = known.lines().find(|line| line.contains("myself")).unwrap();
    let bus = myself.split(['@', ' ']).nth(2).unwrap();
    replica.cli(&["CLUSTER", "MEET", "127.0.0.1", &primary.address().port().to_string(), bus]);
    replica.wait_for(&["CLUSTER", "NODES"], &id);
    replica.wait_for(&["CLUSTER", "INFO"], "cluster_state:ok");
    assert_eq!(replica.cli(&["CLUSTER", "REPLICATE", &id]).trim(), "OK");
    replica.wait_for(&["INFO", "replication"], "master_link_status:up");
    primary.wait_for(&["INFO", "replication"], "state=online");
    run(async {
        let builder = patient(&cluster.url());
        let [scans, loads] = [builder.clone().connect().await.unwrap(), builder.connect().await.unwrap()];
        let names: Vec<_> = (0..20).map(|number| format!("token {number}")).collect();
        for name in &names {
            assert_eq!(loads.write(&key(name), enrol()).await.unwrap(), Written::Done);
            assert_eq!(loads.load(&key(name)).await.unwrap().replaced, None);
        }
        get_older().await;
        assert_eq!(replica.cli(&["CLUSTER", "FAILOVER"]).trim(), "OK");
        replica.wait_for(&["INFO", "replication"], "role:master");
        primary.wait_for(&["INFO", "replication"], "role:slave");
        assert_eq!(scanned(&scans).await, names.len());
        let mut replaced = 0;
        for name in &names {
            let loaded = loads.load(&key(name)).await.unwrap();
            assert_eq!(watermark(&loaded), Some(10));
            replaced += usize::from(loaded.replaced.is_some());
        }
        assert!(replaced > 0, "who took over is noticed");
    });
}

/// However many log in meanwhile: the address is looked up ten times a second.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_replica_is_not_flooded_with_connections_until_its_address_leads_elsewhere() {
    let primary = RedisServer::durable();
    let replica = primary.replica(DURABLE);
    let relay = TcpRelay::to(primary.address(), 1);
    run(async {
        let store = through(&relay).await;
        assert_eq!(write(&store, enrol()).await, Written::Done);
        assert_eq!(load(&store).await.replaced, None);
        get_older().await;
        hand_over(&primary, &replica, &relay);
        relay.lead_to(primary.address());
        let connections = || -> u128 {
            let said = primary.cli(&["INFO", "stats"]);
            let line = said.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
            line.unwrap().trim().parse().unwrap()
        };
        let (before, start) = (connections(), tokio::time::Instant::now());
        for _ in 0..2_000 {
            let refused = store.load(&key("ada")).await;
            assert!(
                matches!(&refused, Err(StoreError::Failed { source, .. }) if source.to_string().contains("primary")),
                "{refused:?}"
            );
        }
        // One of them is redis-cli's.
        let made = connections() - before - 1;
        let looked_up = start.elapsed().as_millis() / 100 + 1;
        assert!((1..=looked_up).contains(&made), "{made} connections, {looked_up} were due");
        relay.lead_to(replica.address());
        get_older().await;
        assert_eq!(load(&store).await.replaced, Some(Replaced::Failover));
    });
}
