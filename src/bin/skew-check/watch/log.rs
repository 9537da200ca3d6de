//! Events: what happened, one line each, for whoever reads the log.

use std::fs::OpenOptions;
use std::sync::Mutex;

use tracing::Level;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::cli::{LogFormat, WatchOptions};
use crate::error::CliError;

/// The `tracing` target of all events of `watch`.
pub(super) const TARGET: &str = "skew_check::watch";

/// From here on events are written.
pub(super) fn start(options: &WatchOptions) -> Result<(), CliError> {
    let writer = match &options.log_file {
        None => BoxMakeWriter::new(std::io::stderr),
        Some(file) => {
            let opened = OpenOptions::new().create(true).append(true).open(file);
            let opened = opened.map_err(|error| CliError::WriteFile { file: file.clone(), error })?;
            BoxMakeWriter::new(Mutex::new(opened))
        }
    };
    let log = tracing_subscriber::fmt()
        .with_max_level(Level::INFO)
        .with_writer(writer)
        .with_ansi(false)
        // A log that can't be written is no reason to end: it would be told on standard error, which may be gone.
        .log_internal_errors(false);
    let started = match options.log_format {
        LogFormat::Text => tracing::subscriber::set_global_default(log.with_target(false).finish()),
        LogFormat::Json => tracing::subscriber::set_global_default(log.json().flatten_event(true).finish()),
    };
    // There is one already only where this is called twice.
    debug_assert!(started.is_ok());
    Ok(())
}
