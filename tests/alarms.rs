//! From real sweeps to what is said of them, and to what a log gets to see. A test of its own process: `tracing` decides for each
//! call site once whether anybody listens.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/log.rs"]
mod log;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use log::Log;
use skewgate::fleet::{Alarms, Host, Inventory, Report, Standing, State, SweepOptions, sweep};
use skewgate::ntp::{Responder, Script};
use skewgate::time::SignedDuration;
use skewgate::time::os::OsClock;

fn serve(ahead: SignedDuration) -> Responder {
    Responder::spawn(([127, 0, 0, 1], 0).into(), Script::ahead_by(ahead), OsClock).unwrap()
}

fn swept(reference: &Responder, hosts: &[&Responder]) -> Report {
    let mut inventory = Inventory::builder();
    inventory.reference(reference.address().into());
    for host in hosts {
        inventory.host(host.address().to_string().parse::<Host>().unwrap());
    }
    let mut options = SweepOptions::default();
    options.reference.allow_single = true;
    options.pace.timeout = Duration::from_millis(300);
    sweep(&Arc::new(inventory.build().unwrap()), &options, &OsClock, &mut |_| {}).unwrap()
}

#[test]
fn what_sweeps_show_twice_is_said_once() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let of_fleet = || {
        let lines = log.lines().into_iter();
        lines.filter(|line| line.contains("skewgate::fleet")).collect::<Vec<_>>()
    };
    let (reference, right, wrong) =
        (serve(SignedDuration::ZERO), serve(SignedDuration::ZERO), serve(SignedDuration::from_secs(3)));
    let silent = Responder::spawn(([127, 0, 0, 1], 0).into(), Script::silent(), OsClock).unwrap();
    let mut alarms = Alarms::default();
    let mut judge = |report: &Report| {
        let told = alarms.judge(report);
        told.iter().for_each(|transition| transition.emit());
        told
    };

    assert_eq!(judge(&swept(&reference, &[&right, &wrong])), []);
    let told = judge(&swept(&reference, &[&right, &wrong]));
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].host(), Some(&*wrong.address().to_string()));
    assert!(told[0].skew.is_some_and(|skew| skew.contains(SignedDuration::from_secs(3))), "{told:?}");
    assert_eq!(judge(&swept(&reference, &[&right, &wrong])), []);

    // Nothing to compare them with: all of them are inconclusive, and nothing is said of any.
    let lost = swept(&silent, &[&right, &wrong]);
    assert!(lost.hosts.iter().all(|host| host.state() == State::Inconclusive), "{lost:?}");
    assert_eq!(judge(&lost), []);
    let told = judge(&swept(&silent, &[&right, &wrong]));
    assert_eq!(
        told.iter().map(|told| (told.host(), told.to.name())).collect::<Vec<_>>(),
        [(None, "no-reference")]
    );

    // A sweep without the one that is wrong: it was taken out of the inventory.
    let told = judge(&swept(&reference, &[&right]));
    assert_eq!(told.iter().map(|told| told.to.name()).collect::<Vec<_>>(), ["removed"]);

    // Something else in the place of a name of the same length, as if the file that keeps it had been changed.
    let mut alarms = Alarms::default();
    (0..2).for_each(|_| drop(alarms.judge(&swept(&reference, &[&wrong]))));
    let name = wrong.address().to_string();
    let hostile = format!("\n\u{1b}[2K{}", "x".repeat(name.len() - 5));
    let (kept, mut bytes) = (name.as_bytes(), alarms.standing().to_bytes());
    let place = bytes.windows(kept.len()).position(|bytes| bytes == kept).unwrap();
    bytes.splice(place..place + kept.len(), hostile.bytes());
    let mut alarms = Alarms::resumed(NonZeroU32::MIN, Standing::from_bytes(&bytes).unwrap());
    alarms.judge(&swept(&reference, &[&right])).iter().for_each(|transition| transition.emit());

    let mut lines = of_fleet();
    let printed = lines.pop().unwrap();
    assert!(
        printed.contains("host=\u{fffd}\u{fffd}[2Kxx") && !printed.contains(char::is_control),
        "{printed:?}"
    );
    let [skewed, lost, removed] = &lines[..] else { panic!("{lines:#?}") };
    let named = format!(" host={}", wrong.address());
    let words = |line: &str, words: &[&str]| words.iter().all(|word| line.contains(word));
    let all = [
        &named,
        " event=host_changed",
        " from=in-sync",
        " to=skewed",
        " from_severity=ok",
        " severity=critical",
    ];
    assert!(skewed.starts_with("ERROR skewgate::fleet") && words(skewed, &all), "{skewed}");
    assert!(
        words(skewed, &[" since=20", " at=20", " skew_ns=2", " half_width_ns="])
            || words(skewed, &[" skew_ns=3"]),
        "{skewed}"
    );
    let all = [" event=fleet_changed", " from=measured", " to=no-reference", " severity=unknown"];
    assert!(lost.starts_with("WARN skewgate::fleet") && words(lost, &all), "{lost}");
    assert!(!lost.contains("host="), "{lost}");
    let all = [&named, " event=host_removed", " from=skewed", " to=removed", " severity=ok"];
    assert!(removed.starts_with("INFO skewgate::fleet") && words(removed, &all), "{removed}");
    assert!(!removed.contains("skew_ns"), "{removed}");
}
