//! No code twice, and none for nothing, whatever instant the process is killed at: see `tests/kills`.

mod kills;

use std::process::Command;

use kills::{Service, is_child, live};

const KILLS: u64 = 50;

/// Not a test of its own: the process that `a_killed_process_has_lost_nothing_that_it_told` kills.
#[test]
fn serve_until_killed() {
    if is_child() {
        live();
    }
}

#[test]
fn a_killed_process_has_lost_nothing_that_it_told() {
    let program = std::env::current_exe().expect("this program");
    let mut service = Service::new(1);
    for kill in 0..KILLS {
        let mut child = Command::new(&program);
        child.args(["--exact", "serve_until_killed", "--nocapture"]);
        if let Err(error) = service.live_and_die(child) {
            panic!("kill {kill}: {error}");
        }
    }
    let seen = service.seen;
    println!("{seen}");
    assert_eq!((seen.kills, seen.lost), (KILLS, 0));
    assert!(seen.killed_in_write > KILLS / 2 && seen.races > 0, "the kills hit nothing: {seen}");
    assert!(seen.accepted > KILLS && seen.wrong > KILLS, "too little was told: {seen}");
}
