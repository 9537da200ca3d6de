//! A packet costs no allocation once the engine is warm. A file of its own, because it counts them in an allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use skewgate::ntp::{Announcement, AskOptions, Pace, ReferenceId, Responder, Service, ask};
use skewgate::time::os::OsClock;

/// Counts what the thread that asks allocates: responder and test harness are other threads.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

// SAFETY: every call is handed on as it is to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const TARGETS: usize = 200;

/// How often memory was allocated while each of the targets gave so many samples.
fn allocations(targets: &[SocketAddr; TARGETS], samples: u32) -> u64 {
    let pace = Pace {
        samples,
        interval: Duration::from_millis(1),
        timeout: Duration::from_secs(10),
        max_rate: None,
        ..Pace::default()
    };
    let options = AskOptions { pace, ..AskOptions::default() };
    let before = ALLOCATIONS.get();
    let answers = ask(*targets, &options, &OsClock);
    let after = ALLOCATIONS.get();
    let wanted = usize::try_from(samples).expect("a small number");
    assert!(answers.iter().all(|answer| answer.samples.len() == wanted && answer.error.is_none()));
    after - before
}

#[test]
fn a_packet_costs_no_allocation() {
    // It follows another server, as most do: then the check for reference loops has something to do.
    let announcement = Announcement::synchronised(3)
        .expect("a stratum")
        .with_reference_id(ReferenceId::from_bytes([192, 0, 2, 1]));
    let service = Service { announcement, rate_limit: None, ..Service::default() };
    let server = Responder::serve("127.0.0.1:0".parse().unwrap(), service, OsClock).unwrap();
    let targets = [server.address(); TARGETS];
    let warm_up = allocations(&targets, 2);
    assert!(warm_up > 0, "they are counted");
    let (few, many) = (allocations(&targets, 2), allocations(&targets, 50));
    assert_eq!(many, few, "for 400 and for 10,000 packets");
    // One for the samples of each target and one for its pauses all together: none for a target that is asked once.
    let once = allocations(&targets, 1);
    assert_eq!(few - once, 201);
    assert!(once < 40, "{once}");
}
