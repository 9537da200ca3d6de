//! Several processes over one server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use super::tcp_relay::{TcpRelay, Weather};
use super::*;
use crate::nodes::Trouble;

#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn nodes_accept_no_step_twice_and_lose_no_price() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    let store: Arc<dyn StateStore> = Arc::new(connect(patient(), &parameters));
    let befall = |round| if round % 2 == 0 { Trouble::Deaths } else { Trouble::None };
    nodes::contend(&runtime, &parameters, &store, 1, 30, befall, |_| ());
}

/// As after a power cut, in the midst of what the nodes do.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn nodes_outlive_their_server() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    let store: Arc<dyn StateStore> = Arc::new(connect(patient(), &parameters));
    let server = Mutex::new(server);
    let befall = |round| if round % 3 == 0 { Trouble::Outside } else { Trouble::None };
    nodes::contend(&runtime, &parameters, &store, 3, 15, befall, |round| {
        let mut server = server.lock().expect("no panic while it was locked");
        thread::sleep(Duration::from_millis(u64::try_from(round).expect("rounds count up") * 2));
        server.crash();
        server.run();
    });
    let server = server.lock().expect("no panic while it was locked");
    assert_eq!(server.psql("SELECT not_before FROM skewgate.skewgate_store"), "", "a crash is no restore");
}

/// In the midst of statements, before and after they have arrived; and answers that don't come.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn nodes_outlive_a_bad_network() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    let store: Arc<dyn StateStore> = Arc::new(connect(patient(), &parameters));
    let relay = TcpRelay::to(SocketAddr::from((Ipv4Addr::LOCALHOST, server.port())), 4);
    let through =
        parameters.replace(&format!("port={}", server.port()), &format!("port={}", relay.address().port()));
    let befall = |round| if round % 4 == 0 { Trouble::None } else { Trouble::Outside };
    nodes::contend(&runtime, &through, &store, 4, 16, befall, |round| {
        let swallow_answers = round % 4 == 3;
        let cut_per_mille = if swallow_answers { 0 } else { 40 };
        relay.set(Weather { delay: Duration::from_millis(1), cut_per_mille, swallow_answers });
        thread::sleep(Duration::from_millis(300));
        relay.set(Weather::default());
        relay.cut_all();
    });
    assert!(relay.cuts() > 0);
}

#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn an_owner_gets_in_within_two_tries_through_a_flood() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    let store: Arc<dyn StateStore> = Arc::new(connect(patient(), &parameters));
    nodes::flood(&runtime, &parameters, &store, 2, 30);
}
