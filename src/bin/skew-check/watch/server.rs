//! Connections: how many, and how long each may take. A client that sends a byte now and then, or never reads what it asked for,
//! keeps nobody else out for long.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::guard::Local;

/// So many at once; others wait until the operating system has no more room for them either.
const MOST_CONNECTIONS: u32 = 256;

/// So long a request's head may take, and a connection without a request may be idle.
const HEAD: Duration = Duration::from_secs(10);

/// So long a connection lives, whatever goes over it; and so much longer until its last answer has to be read.
const LIFETIME: Duration = Duration::from_secs(60);
const LAST_ANSWER: Duration = Duration::from_secs(30);

/// The same where it is told to end: an answer on its way is finished.
const AT_THE_END: Duration = Duration::from_secs(2);

const MOST_HEADERS: usize = 64;
const MOST_HEAD_BYTES: usize = 16 * 1024;

/// After an error that no connection is to blame for, such as no file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` is true, or nobody can say so any more. Ends once all connections have.
pub(super) async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS as usize));
    let ending = stop.clone();
    loop {
        let accepted = async {
            // A semaphore of its own is never closed.
            let place = places.clone().acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let (stream, place) = tokio::select! {
            (accepted, place) = accepted => match accepted {
                Ok((stream, _)) => (stream, place),
                Err(_) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
            () = told(&mut stop) => break,
        };
        let (router, ending) = (router.clone(), ending.clone());
        tokio::spawn(async move {
            if let Ok(local) = stream.local_addr() {
                connection(stream, local, router, ending).await;
            }
            drop(place);
        });
    }
    drop(listener);
    // Each of them ends within AT_THE_END.
    let _ = places.acquire_many(MOST_CONNECTIONS).await;
}

async fn connection(stream: TcpStream, local: SocketAddr, router: Router, mut stop: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router.layer(Extension(Local(local))));
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(MOST_HEADERS)
        .max_buf_size(MOST_HEAD_BYTES);
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
    let left = tokio::select! {
        // What a client did wrong is its own affair.
        _ = &mut connection => return,
        () = tokio::time::sleep(LIFETIME) => LAST_ANSWER,
        () = told(&mut stop) => AT_THE_END,
    };
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(left, connection).await;
}

/// Until it is told to end.
async fn told(stop: &mut watch::Receiver<bool>) {
    // Where nobody is left who could say so, it is.
    let _ = stop.wait_for(|stop| *stop).await;
}
