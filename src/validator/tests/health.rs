//! The health check says what an attempt would.

use super::faults::Scripted;
use super::*;
use crate::event::Outcome;

fn check<S: StateStore + 'static>(service: &Service<S>) -> Result<(), Reason> {
    block_on(service.gate.check())
}

#[test]
fn no_token_is_changed_by_it() {
    let service = service();
    let before = (service.state(), service.budget());
    assert!(check(&service).is_ok());
    assert_eq!((service.state(), service.budget()), before);
    // Something was written, each time: what changes nothing may never come to a disk.
    let key = TokenKey::from(TokenId::stand_in(stand_in::ROWS));
    let row = || block_on(service.store.load(&key)).unwrap().row;
    let written = row();
    assert!(check(&service).is_ok());
    assert_ne!(row(), written);
    assert!(
        service
            .gate
            .totals()
            .outcomes
            .iter()
            .all(|(outcome, count)| *outcome == Outcome::Enrolled || *count == 0)
    );
}

#[test]
fn a_store_that_cannot_be_read_or_written_is_an_outage() {
    for break_it in [Scripted::fail_loads, Scripted::fail_charges] {
        let service = Service::enrolled(Scripted::default());
        break_it(&service.store);
        let reason = check(&service).unwrap_err();
        assert!(matches!(reason, Reason::StoreFailed(_)) && reason.is_outage(), "{reason:?}");
        service.store.heal();
        assert!(check(&service).is_ok());
    }
}

/// It says no where attempts end so whoever makes them, and only there.
#[test]
fn a_clock_that_cannot_be_trusted_is_an_outage() {
    let widths = [1, 14, 30, 45, 60, 90, 120, 300, 600, 3_600].map(Duration::from_secs);
    let mut outages = 0;
    for width in widths {
        let service = service();
        service.time.set(Ok(TimeInterval::around(Timestamp::from_unix_seconds(NOON).unwrap(), width)));
        let (checked, attempted) = (check(&service), service.refusal(&wrong()));
        assert_eq!(checked.is_err(), attempted.reason().is_outage(), "{width:?}: {checked:?}, {attempted:?}");
        outages += usize::from(checked.is_err());
    }
    assert!((1..widths.len()).contains(&outages), "{outages}");
    let service = service();
    service.time.set(Err(TimeError::NotMeasured));
    assert!(matches!(check(&service), Err(Reason::ClockUntrusted(ClockFault::Unknown(_)))));
}

#[test]
fn a_store_that_was_restored_is_set_right() {
    let service = Service::enrolled(Scripted::default());
    service.store.replace(Replaced::Restored);
    assert!(check(&service).is_ok());
    assert!(service.gate.totals().outcomes.contains(&(Outcome::StoreReplaced, 1)));
    // What could be used by now is dead, and the attempt needn't find that out.
    assert!(matches!(service.refusal(&one(0)).reason(), Reason::WatermarkAhead { .. }));
}
