//! `skew-check respond`: a time server that serves this host's system clock until it is told to stop.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use skewgate::ntp::Responder;
use skewgate::time::os::OsClock;

use crate::cli::RespondOptions;
use crate::error::CliError;
use crate::output::{Status, length};

/// How often it is looked whether the server still runs.
const ROUND: Duration = Duration::from_secs(1);

pub(crate) fn run(options: &RespondOptions) -> Result<Status, CliError> {
    // Before the socket: a signal that comes in between must not leave anything half done.
    let (stop, stopped) = channel();
    // A second signal finds nobody who listens, or one who is leaving already.
    ctrlc::set_handler(move || {
        let _ = stop.send(());
    })
    .map_err(|error| CliError::Signals(error.to_string()))?;

    let service = options.service();
    let server = Responder::serve(options.listen, service.clone(), OsClock)
        .map_err(|error| CliError::Listen { address: options.listen, error })?;

    anstream::eprintln!("skew-check: serving this host's system clock on {}, UDP", server.address());
    let announcement = service.announcement;
    if options.unsynchronised {
        anstream::eprintln!("  as unsynchronised: clients can read this clock, and will not follow it");
    } else {
        anstream::eprintln!(
            "  as stratum {}, right to {} (root dispersion)",
            announcement.stratum(),
            length(announcement.root_dispersion()),
        );
    }
    anstream::eprintln!("  to {}", service.allow);
    match service.rate_limit {
        Some(limit) => anstream::eprintln!(
            "  at most {} requests a second of each client, {} at once",
            limit.per_second,
            limit.burst
        ),
        None => anstream::eprintln!("  as often as they ask"),
    }
    anstream::eprintln!("  until Ctrl-C or SIGTERM");

    while stopped.recv_timeout(ROUND) == Err(RecvTimeoutError::Timeout) {
        if !server.is_running() {
            return Err(CliError::ServerEnded);
        }
    }
    let tally = server.tally();
    drop(server);
    anstream::eprintln!("skew-check: stopped; {tally}");
    Ok(Status::Ok)
}
