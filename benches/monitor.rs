//! What asking a monitor for the time costs, beside the bare readings of the clocks that it needs: `cargo bench --bench monitor`.
//!
//! Both are timed in turns, a few thousand calls each time: what the machine does besides hits both alike.

use std::hint::black_box;
use std::time::Duration;

use skewgate::monitor::Monitor;
use skewgate::ntp::{Options, Responder, Script, Source};
use skewgate::time::{LocalClock, TimeSource, os::OsClock};

const TURNS: usize = 501;
const CALLS: u32 = 5_000;

/// Nanoseconds a call.
fn time(call: impl Fn()) -> f64 {
    let start = OsClock.raw();
    for _ in 0..CALLS {
        call();
    }
    (OsClock.raw() - start).unsigned_abs().as_secs_f64() * 1e9 / f64::from(CALLS)
}

fn main() {
    let loopback = ([127, 0, 0, 1], 0).into();
    let server = Responder::spawn(loopback, Script::default(), OsClock).expect("a port on loopback");
    let monitor = Monitor::builder()
        .source(Source::new(server.address().into()))
        .options(Options { allow_single: true, ..Options::default() })
        .spawn()
        .expect("one source, allowed");
    monitor.wait_ready(Duration::from_secs(10)).expect("an answer from loopback");

    let (mut bare, mut now, mut more) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        bare.push(time(|| {
            black_box((OsClock.raw(), OsClock.suspended()));
        }));
        now.push(time(|| {
            let _ = black_box(monitor.now());
        }));
        more.push(now[now.len() - 1] - bare[bare.len() - 1]);
    }
    for (what, values) in
        [("bare clock reads", &mut bare), ("Monitor::now", &mut now), ("difference", &mut more)]
    {
        values.sort_by(f64::total_cmp);
        let (low, median) = (values[values.len() / 20], values[values.len() / 2]);
        println!("{what:16} median {median:6.1} ns, fifth percentile {low:6.1} ns");
    }
}
