//! Several processes over one Redis: no code twice and no price lost, while nodes die, connections are cut, the server is killed and
//! started again.

mod nodes;
#[allow(dead_code, reason = "each test file uses a part of it")]
#[path = "support/redis.rs"]
mod servers;
#[allow(dead_code, reason = "each test file uses a part of it")]
#[path = "support/tcp_relay.rs"]
mod tcp_relay;

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nodes::Trouble;
use servers::{DURABLE, RedisCluster, RedisServer, url};
use skewgate::store::{RedisStore, StateStore};
use tcp_relay::TcpRelay;
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// On a machine that does other things too.
async fn open(url: String) -> Arc<dyn StateStore> {
    let store = RedisStore::builder(&url).deadline(Duration::from_secs(5)).connect().await;
    Arc::new(store.expect("a store"))
}

#[test]
#[ignore = "a node of the tests below"]
fn node() {
    nodes::work(|url| Box::pin(open(url)));
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn nodes_accept_no_step_twice_and_lose_no_price() {
    let (runtime, server) = (runtime(), RedisServer::durable());
    let address = server.address();
    let server = Mutex::new(server);
    let store = runtime.block_on(open(url(address)));
    // A start that is noticed late costs more than was told: not in a round in which that is looked at.
    let befall = |round| match round % 3 {
        0 => Trouble::Outside,
        1 => Trouble::Deaths,
        _ => Trouble::None,
    };
    let restart = |_| server.lock().expect("one at a time").restart();
    nodes::contend(&runtime, &url(address), &store, 1, 30, befall, restart);
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn nodes_whose_connections_are_cut_accept_no_step_twice() {
    let (runtime, server) = (runtime(), RedisServer::durable());
    let relay = TcpRelay::to(server.address(), 5);
    let store = runtime.block_on(open(server.url()));
    let cut = |_| {
        for _ in 0..20 {
            relay.cut_all();
            thread::sleep(Duration::from_millis(3));
        }
    };
    nodes::contend(&runtime, &url(relay.address()), &store, 2, 20, |_| Trouble::Outside, cut);
}

/// Two servers hand over to each other while their users log in, and the connections to the one that was are left open.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn nodes_whose_primary_is_demoted_follow_it_and_accept_no_step_twice() {
    let (runtime, first) = (runtime(), RedisServer::durable());
    let second = first.replica(DURABLE);
    let relay = TcpRelay::to(first.address(), 6);
    let store = runtime.block_on(open(url(relay.address())));
    let pair = Mutex::new((first, second));
    // What is noticed in the round after that costs more than was told.
    let befall = |round| if round % 3 == 2 { Trouble::None } else { Trouble::Outside };
    let hand_over = |round| {
        if round % 3 == 1 {
            return;
        }
        let mut pair = pair.lock().expect("one at a time");
        pair.0.hand_over(&pair.1);
        relay.lead_to(pair.1.address());
        let (primary, replica) = &mut *pair;
        std::mem::swap(primary, replica);
    };
    nodes::contend(&runtime, &url(relay.address()), &store, 6, 30, befall, hand_over);
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn nodes_over_a_cluster_accept_no_step_twice() {
    let (runtime, cluster) = (runtime(), RedisCluster::new(DURABLE));
    let store = runtime.block_on(open(cluster.url()));
    let befall = |round| if round % 2 == 0 { Trouble::Deaths } else { Trouble::None };
    nodes::contend(&runtime, &cluster.url(), &store, 3, 20, befall, |_| ());
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn an_owner_gets_in_within_two_tries_through_a_flood() {
    let (runtime, server) = (runtime(), RedisServer::durable());
    let store = runtime.block_on(open(server.url()));
    nodes::flood(&runtime, &server.url(), &store, 4, 30);
}
