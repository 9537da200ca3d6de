//! `skew-check watch`: a fleet, swept again and again.
//!
//! ```text
//! sweeps.rs   the loop, on a thread of its own: sweep, judge, tell, show, keep
//! reload.rs   the inventory, read again when it has changed
//! state.rs    what the last sweep found, and how it goes: between the loop and the server
//! history.rs  the database, and how it is asked
//! notify.rs   who is told of changes: notify/webhook.rs, notify/command.rs
//! server.rs   connections; guard.rs: what every request must be; routes.rs, query.rs, problem.rs: requests and answers
//! metrics.rs  what is counted
//! log.rs, systemd.rs
//! ```

mod classic;
mod guard;
mod history;
mod log;
mod metrics;
mod notify;
mod problem;
mod query;
mod reload;
mod routes;
mod server;
mod state;
mod sweeps;
mod systemd;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing::{info, warn};

use crate::cli::WatchOptions;
use crate::error::CliError;
use crate::output::{self, Status};
use guard::Names;
use history::Keeper;
use log::TARGET;
use notify::{Notifier, Workers};
use reload::Source;
use skewgate::fleet::Retention;
use state::Shared;
use sweeps::{Order, Sweeps, Untold};

/// A day of single sweeps.
const DAY_S: u64 = 86_400;

/// So long webhooks and programs may still take once it is told to end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// So long work on other threads may take after that.
const LAST_WORK: Duration = Duration::from_secs(1);

/// How often it is looked whether the sweeps have ended.
const LOOK: Duration = Duration::from_millis(5);

/// So many threads read the history and talk to webhooks.
const BLOCKING_THREADS: usize = 8;

pub(crate) fn run(options: &WatchOptions) -> Result<Status, CliError> {
    let source = Source::open(&options.inventory, &options.sweeping)?;
    let keeper = Arc::new(Keeper::open(&options.database, retention(options)?)?);
    log::start(options)?;
    let shared = Arc::new(Shared::new(options.every(), source.current().hosts().len()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(CliError::Runtime)?;
    let (notifier, workers) = Notifier::start(options, &shared, runtime.handle());
    let stopping = Arc::new(AtomicBool::new(false));
    let mut sweeps =
        Sweeps::new(options, source, keeper.clone(), notifier, shared.clone(), stopping.clone())?;
    let ended = if options.once {
        let status = sweeps.sweep();
        // All that is told is in the queues: nobody adds to them any more.
        let untold = sweeps.end();
        runtime.block_on(workers.done());
        untold.keep();
        status.ok_or(CliError::SweepsEnded)
    } else {
        Watch { options, shared, keeper, stopping }.until_told(&runtime, sweeps, workers)
    };
    runtime.shutdown_timeout(LAST_WORK);
    ended
}

fn retention(options: &WatchOptions) -> Result<Retention, CliError> {
    let a_day = u32::try_from(DAY_S / options.every().as_secs().max(1)).unwrap_or(u32::MAX);
    // Never fewer than it takes to have any.
    Ok(Retention::default().with_sweeps(a_day.max(2))?.with_max_bytes(options.database_limit())?)
}

struct Watch<'a> {
    options: &'a WatchOptions,
    shared: Arc<Shared>,
    keeper: Arc<Keeper>,
    stopping: Arc<AtomicBool>,
}

impl Watch<'_> {
    /// Sweeps and serves until a signal comes.
    fn until_told(self, runtime: &Runtime, sweeps: Sweeps<'_>, workers: Workers) -> Result<Status, CliError> {
        let Self { options, shared, keeper, stopping } = self;
        // Before the socket: a signal that comes in between must not leave anything half done.
        let signals = runtime.block_on(async { Signals::new() });
        let signals = signals.map_err(|error| CliError::Signals(error.to_string()))?;
        let failed = |error| CliError::ListenTcp { address: options.listen, error };
        let listener = runtime.block_on(TcpListener::bind(options.listen)).map_err(failed)?;
        announce(options, listener.local_addr().map_err(failed)?, sweeps.hosts());

        let (stop_serving, serving) = tokio::sync::watch::channel(false);
        let names = Names::new(options.listen, &options.allow_host);
        let router = routes::router(shared.clone(), keeper, names);
        let server = runtime.spawn(server::serve(listener, router, serving));
        runtime.spawn(systemd::keep_alive(move || shared.is_moving()));
        let (orders, received) = mpsc::channel();
        let (ending, ended) = oneshot::channel();
        let told = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("skew-check-sweeps".into());
            let sweeping = thread.spawn_scoped(scope, move || {
                // Dropped whatever ends the thread, a panic too.
                let _ending: oneshot::Sender<()> = ending;
                sweeps.run(&received)
            });
            let sweeping = sweeping.map_err(CliError::Runtime)?;
            systemd::ready();
            let told = runtime.block_on(signals.wait(&orders, ended));
            systemd::stopping();
            // Both at once: connections and a sweep that are under way.
            stop_serving.send_replace(true);
            stopping.store(true, Ordering::Relaxed);
            // Where nobody is left who would hear it, it has ended.
            let _ = orders.send(Order::Stop);
            // The server goes on meanwhile only where the runtime does.
            runtime.block_on(async {
                while !sweeping.is_finished() {
                    tokio::time::sleep(LOOK).await;
                }
            });
            let untold = sweeping.join().map_err(|_| CliError::SweepsEnded)?;
            told.map(|()| untold)
        });
        runtime.block_on(async {
            // What isn't told by then is told after the next start.
            let _ = tokio::time::timeout(LAST_WORDS, workers.done()).await;
            let _ = server.await;
        });
        let told = told.map(Untold::keep);
        info!(target: TARGET, event = "stopped", "stopped");
        told.map(|()| Status::Ok)
    }
}

/// Says where it is to be found, and what deserves a thought.
fn announce(options: &WatchOptions, address: SocketAddr, hosts: usize) {
    let every = humantime::format_duration(options.every()).to_string();
    let line = format!("http://{address}/ shows {hosts} hosts, swept every {every}, until SIGINT or SIGTERM");
    info!(target: TARGET, event = "listening", %address, hosts, every, "{line}");
    if options.log_file.is_some() {
        anstream::eprintln!("skew-check: {line}");
    }
    let mut warnings = Vec::new();
    if !address.ip().is_loopback() {
        warnings.push(format!(
            "whoever can reach {address} sees every host: there is no authentication, and no encryption"
        ));
    }
    let shortest = options.sweeping.shortest(hosts);
    if shortest > options.every() {
        warnings.push(format!(
            "a sweep of {hosts} hosts takes {} at the least, which is longer than --every {every}: ask for fewer --samples, or set --max-rate",
            output::length(shortest)
        ));
    }
    for warning in warnings {
        warn!(target: TARGET, event = "warning", "{warning}");
        if options.log_file.is_some() {
            anstream::eprintln!("warning: {warning}");
        }
    }
}

/// What the operating system has to say.
struct Signals {
    #[cfg(unix)]
    interrupt: Signal,
    #[cfg(unix)]
    terminate: Signal,
    #[cfg(unix)]
    hang_up: Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    #[cfg(not(unix))]
    fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Until it is to end; an error where the sweeps have ended by themselves.
    async fn wait(
        mut self,
        orders: &mpsc::Sender<Order>,
        mut ended: oneshot::Receiver<()>,
    ) -> Result<(), CliError> {
        loop {
            tokio::select! {
                order = self.next() => match order {
                    Order::Stop => return Ok(()),
                    // Where nobody hears it, they have ended.
                    reload @ Order::Reload => drop(orders.send(reload)),
                },
                _ = &mut ended => return Err(CliError::SweepsEnded),
            }
        }
    }

    #[cfg(unix)]
    async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.interrupt.recv() => Order::Stop,
            _ = self.terminate.recv() => Order::Stop,
            _ = self.hang_up.recv() => Order::Reload,
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> Order {
        // Where it can't be told to end that way, it isn't.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Order::Stop
    }
}

/// An answer in JSON.
fn json(status: StatusCode, written: serde_json::Result<Vec<u8>>) -> Response {
    let status = if written.is_ok() { status } else { StatusCode::INTERNAL_SERVER_ERROR };
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, headers, written.unwrap_or_default()).into_response()
}
