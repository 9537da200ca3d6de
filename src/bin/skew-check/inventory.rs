//! The hosts of `fleet` and `watch`, from files and options.

use std::path::Path;
use std::time::Duration;

use skewgate::fleet::{Inventory, InventoryBuilder, Thresholds};

use crate::cli::SweepingOptions;
use crate::error::CliError;
use crate::output::harmless;

/// What the file that `--inventory` names says, beside what is there already.
pub(crate) fn add_file(inventory: &mut InventoryBuilder, file: &Path) -> Result<(), CliError> {
    let text =
        std::fs::read_to_string(file).map_err(|error| CliError::ReadFile { file: file.to_owned(), error })?;
    add_text(inventory, file, &text)
}

/// What is in a file that was read already.
pub(crate) fn add_text(inventory: &mut InventoryBuilder, file: &Path, text: &str) -> Result<(), CliError> {
    inventory.toml(text).map_err(|error| CliError::Inventory { place: shown(file), error })?;
    Ok(())
}

/// The whole, with what the options say in place of it.
pub(crate) fn finish(
    mut inventory: InventoryBuilder,
    options: &SweepingOptions,
) -> Result<Inventory, CliError> {
    let references = options.references();
    if !references.is_empty() {
        inventory.set_references(references);
    }
    for group in inventory.groups_mut() {
        let given = |option: Option<humantime::Duration>, otherwise| option.map_or(otherwise, Duration::from);
        let (warning, critical) = (
            given(options.warning, group.thresholds.warning()),
            given(options.critical, group.thresholds.critical()),
        );
        group.thresholds = Thresholds::new(warning, critical)
            .map_err(|_| CliError::Thresholds { warning: warning.into(), critical: critical.into() })?;
    }
    let inventory = inventory.build()?;
    // Sources and a quorum that make no sense together would fail every sweep.
    options.check(inventory.references().len())?;
    Ok(inventory)
}

/// A file's name, for a terminal.
pub(crate) fn shown(file: &Path) -> String {
    harmless(&file.display().to_string())
}
