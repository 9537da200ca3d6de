//! Any text is an inventory, as TOML and as lines, or it is refused with its place, and nothing that drives a terminal gets
//! into the refusal or into a host's name.

#![no_main]

use libfuzzer_sys::fuzz_target;
use skewgate::fleet::{Inventory, InventoryError};

fuzz_target!(|text: &str| {
    let mut builder = Inventory::builder();
    let read = [builder.toml(text).map(|_| ()), builder.lines(text).map(|_| ())];
    for error in read.into_iter().filter_map(Result::err) {
        assert!(!error.to_string().chars().any(char::is_control));
        let InventoryError::At { line, .. } = error else { panic!("it has no place: {error}") };
        assert!(line <= text.split('\n').count());
    }
    let Ok(inventory) = builder.build() else { return };
    for host in inventory.hosts() {
        assert!(host.as_given().bytes().all(|byte| byte.is_ascii_graphic()));
        let thresholds = inventory.group_of(host).thresholds;
        assert!(thresholds.warning() <= thresholds.critical());
    }
});
