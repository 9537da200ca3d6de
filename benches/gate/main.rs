//! What a login costs, beside what it can't do without: `cargo bench --bench gate --features "embedded redis
//! postgres"`.
//!
//! Each group measures its two sides in turns of a few milliseconds and prints the median of the ratios of neighbours, as on a
//! machine that others use too what is measured a second later is measured on another machine. A group is a file; what they
//! have in common is in `logins.rs`.
//!
//! `cargo bench --bench gate -- memory` runs the groups with that in their names.

#[cfg(feature = "embedded")]
mod embedded;
mod logins;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let groups: &[(&str, fn())] = &[
        ("memory", memory::beside_a_bare_scan),
        ("memory, two threads", memory::two_threads),
        #[cfg(feature = "embedded")]
        ("embedded", embedded::beside_a_transaction_each),
        #[cfg(feature = "redis")]
        ("redis", redis::beside_two_round_trips),
        #[cfg(feature = "postgres")]
        ("postgres", postgres::beside_two_round_trips),
    ];
    for (name, run) in groups {
        if wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str())) {
            run();
        }
    }
}
