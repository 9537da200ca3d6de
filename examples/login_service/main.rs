//! A login service: enrolment with a QR code, sign-in with password and code, two codes where they are needed, a clock that is
//! watched, a log for a SIEM, metrics, and a health check that is red where time or tokens can't be relied on.
//!
//! `cargo run --release --example login_service --features embedded,qr,seal -- --source ntp1.example.org --source ntp2.example.org
//! --source ntp3.example.org`, then <http://127.0.0.1:8080>. What the library does is in `login.rs`, `enrolment.rs` and
//! `resynchronisation.rs`; the rest is what a service has anyway.

mod arguments;
mod clients;
mod clock;
mod enrolment;
mod error;
mod forms;
mod health;
mod html;
mod login;
mod metrics;
mod nowhere;
mod pages;
mod passwords;
mod resynchronisation;
mod service;
mod sessions;
mod store;
mod texts;
mod users;
mod vault;
mod visitor;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use arguments::{Arguments, StoreChoice};
use error::StartError;
use service::Service;

/// The `tracing` target of what this service says itself.
const LOG: &str = "login_service";

/// Forms are small.
const MOST_BODY_BYTES: usize = 8 * 1024;

/// So long may requests take that are in flight at the end.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let (arguments, store) = Arguments::read();
    // One event a line, as JSON: `skewgate::security` is for the SIEM, `skewgate::clock` for whoever keeps the clocks.
    tracing_subscriber::fmt().json().flatten_event(true).with_max_level(arguments.log).init();
    match start(arguments, store) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("login_service: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments, store: StoreChoice) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(arguments, store))
}

async fn serve(arguments: Arguments, store: StoreChoice) -> Result<(), StartError> {
    let listener = listen(arguments.listen, "--listen").await?;
    let internal = match arguments.internal {
        Some(address) => Some(listen(address, "--internal").await?),
        None => None,
    };
    let (service, ended) = (Arc::new(Service::open(arguments, store).await?), ended()?);
    let address = listener.local_addr()?;
    tracing::info!(target: LOG, %address, "listening");
    eprintln!("login_service: http://{address}");

    let (pages, machines) = (pages(&service), machines(&service));
    let mut servers = Vec::new();
    match internal {
        Some(internal) => {
            let address = internal.local_addr()?;
            tracing::info!(target: LOG, %address, "listening for machines");
            servers.push(spawn(listener, pages, &ended));
            servers.push(spawn(internal, machines, &ended));
        }
        None => servers.push(spawn(listener, pages.merge(machines), &ended)),
    }
    until(ended).await;
    tracing::info!(target: LOG, "ending");
    for server in servers {
        // Browsers may hold connections open for as long as they like.
        if let Ok(Ok(result)) = tokio::time::timeout(PATIENCE, server).await {
            result?;
        }
    }
    Ok(())
}

async fn listen(address: SocketAddr, option: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, option, source })
}

/// Serves until it has ended, and the requests in flight are answered.
fn spawn(listener: TcpListener, router: Router, ended: &watch::Receiver<bool>) -> JoinHandle<io::Result<()>> {
    let app = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, app).with_graceful_shutdown(until(ended.clone()));
    tokio::spawn(server.into_future())
}

async fn until(mut ended: watch::Receiver<bool>) {
    // It fails where nobody can say so any more: an end, too.
    let _ = ended.wait_for(|ended| *ended).await;
}

/// What users see.
fn pages(service: &Arc<Service>) -> Router {
    let style = ([(header::CONTENT_TYPE, "text/css"), CACHED], include_str!("style.css"));
    let icon = ([(header::CONTENT_TYPE, "image/svg+xml"), CACHED], include_str!("icon.svg"));
    Router::new()
        .route("/", get(|| async { Redirect::to("/login") }))
        .route("/enrol", get(enrolment::show).post(enrolment::begin))
        .route("/enrol/device", get(enrolment::show_device).post(enrolment::finish))
        .route("/login", get(login::show).post(login::log_in))
        .route("/login/codes", get(login::show_codes).post(login::log_in_with_codes))
        .route("/resynchronise", get(resynchronisation::show).post(resynchronisation::resynchronise))
        .route("/account", get(login::account))
        .route("/logout", post(login::log_out))
        .layer(DefaultBodyLimit::max(MOST_BODY_BYTES))
        .route("/style.css", get(|| async move { style }))
        .route("/icon.svg", get(|| async move { icon }))
        .fallback(nowhere::no_such_page)
        .method_not_allowed_fallback(nowhere::no_such_method)
        .layer(middleware::from_fn_with_state(Arc::clone(service), visitor::introduce))
        .with_state(Arc::clone(service))
}

fn machines(service: &Arc<Service>) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(health::metrics))
        .with_state(Arc::clone(service))
}

const CACHED: (header::HeaderName, &str) = (header::CACHE_CONTROL, "max-age=3600");

/// Becomes true at SIGTERM and at Ctrl-C.
fn ended() -> Result<watch::Receiver<bool>, StartError> {
    let (tell, ended) = watch::channel(false);
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let (mut signal, tell) = (signal(kind)?, tell.clone());
        tokio::spawn(async move {
            signal.recv().await;
            let _ = tell.send(true);
        });
    }
    Ok(ended)
}
