//! What asking a monitor for the time costs, beside the bare readings of the clocks that it needs: `cargo bench --bench monitor`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use skewgate::monitor::Monitor;
use skewgate::ntp::{Options, Responder, Script, Source};
use skewgate::time::{LocalClock, TimeSource, os::OsClock};

fn now(criterion: &mut Criterion) {
    let loopback = ([127, 0, 0, 1], 0).into();
    let server = Responder::spawn(loopback, Script::default(), OsClock).expect("a port on loopback");
    let monitor = Monitor::builder()
        .source(Source::new(server.address().into()))
        .options(Options { allow_single: true, ..Options::default() })
        .spawn()
        .expect("one source, allowed");
    monitor.wait_ready(Duration::from_secs(10)).expect("an answer from loopback");

    let mut group = criterion.benchmark_group("now");
    group.bench_function("bare clock reads", |bencher| {
        bencher.iter(|| black_box((OsClock.raw(), OsClock.suspended())));
    });
    group.bench_function("Monitor::now", |bencher| bencher.iter(|| black_box(monitor.now())));
    group.finish();
}

criterion_group!(benches, now);
criterion_main!(benches);
