//! A busy machine: threads that compute and never rest.

use std::fs;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Threads that keep every processor busy until it is dropped, also by a panic.
#[derive(Debug)]
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// So many threads for each processor.
    pub(crate) fn on_each_processor(threads: usize) -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..processors * threads)
            .map(|_| {
                let stop = stop.clone();
                thread::spawn(move || {
                    let mut sum = 0_u64;
                    while !stop.load(Ordering::Relaxed) {
                        sum = black_box(sum).wrapping_mul(3).wrapping_add(1);
                    }
                })
            })
            .collect();
        Self { stop, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It can't panic.
            let _ = thread.join();
        }
    }
}

/// How long the processors were busy, whoever kept them so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processors {
    /// In ticks since boot: busy, and in all.
    ticks: [u64; 2],
}

impl Processors {
    /// Since this host booted.
    pub(crate) fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").expect("the counters of the kernel");
        // "cpu  8136 0 3325 88021 ...": user, nice, system, idle, waiting for a disk, interrupts, stolen by other guests; the
        // rest was counted before.
        let ticks: Vec<u64> =
            stat.split_whitespace().skip(1).take(8).map(|ticks| ticks.parse().expect("a number")).collect();
        let all = ticks.iter().sum::<u64>();
        Self { ticks: [all - ticks[3] - ticks[4], all] }
    }

    /// The share of the time since `earlier`, in percent.
    pub(crate) fn busy_since(self, earlier: Self) -> u64 {
        let [busy, all] = [0, 1].map(|index| self.ticks[index].saturating_sub(earlier.ticks[index]));
        busy * 100 / all.max(1)
    }
}
