//! A hundred thousand hosts asked from one process: no reply is lost, and little memory is used. The only test of its file,
//! since it looks at the memory of its whole process; the hosts are another process that answers for all of 127.0.0.0/8.

#![cfg(target_os = "linux")]

mod support;

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use skewgate::ntp::{AskOptions, Pace, ask};
use skewgate::time::os::OsClock;
use support::program::Program;

const HOSTS: u32 = 100_000;

/// In kibibytes.
const MOST_MEMORY: u64 = 64 << 10;

#[test]
fn a_hundred_thousand_hosts_answer_and_take_little_memory() {
    let mut server = Program::start(&["--listen", "0.0.0.0:0", "--rate-limit", "off"]);
    let (address, mut stderr) = server.listening();
    let port = address.port();
    let first = u32::from(Ipv4Addr::new(127, 1, 0, 1));
    let hosts = (0..HOSTS).map(|index| SocketAddr::from((Ipv4Addr::from(first + index), port)));
    let pace = Pace { samples: 1, max_rate: None, timeout: Duration::from_secs(10), ..Pace::default() };

    let answers = ask(hosts.clone(), &AskOptions { pace, ..AskOptions::default() }, &OsClock);

    let peak = peak_memory();
    assert!(server.signal("TERM").success());
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(answers.len(), 100_000);
    for (host, answer) in hosts.zip(&answers) {
        assert_eq!((answer.address, answer.samples.len(), &answer.error), (Some(host), 1, &None));
    }
    // It sent as many replies as there are samples: none was lost, and asked for again.
    let tally = "stopped; 100000 answered, 0 told to ask more rarely, 0 too many, 0 not allowed, 0 no requests, \
                 0 replies not sent";
    assert!(said.contains(tally), "{said}");
    println!("peak memory of the process that asks: {peak} KiB");
    assert!(peak < MOST_MEMORY, "{peak} KiB");
}

/// The most that was ever resident, in kibibytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says so");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line VmHWM");
    line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
}
