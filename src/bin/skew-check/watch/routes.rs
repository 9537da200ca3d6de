//! What is served, and how it is answered.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use skewgate::time::LocalClock;
use skewgate::time::os::OsClock;

use super::guard::{Names, guard};
use super::history::Keeper;
use super::problem::Problem;
use super::query::{self, Wanted};
use super::state::Shared;
use super::{classic, history, json, metrics};
use crate::page;

/// So many read the history at once: each may hold a table of all hosts.
const READERS: usize = 2;

/// So many bytes of answers from the history are kept until their readers have taken them. More than that, and those who ask wait.
const MOST_HELD_BYTES: u32 = 64 << 20;

/// So long others wait for their turn.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Service {
    shared: Arc<Shared>,
    keeper: Arc<Keeper>,
    readers: Arc<Semaphore>,
    /// One for each byte of [`MOST_HELD_BYTES`].
    room: Arc<Semaphore>,
    page: Arc<Page>,
}

/// The page and its policy: the same for everybody, as long as it runs.
struct Page {
    document: Bytes,
    policy: HeaderValue,
}

/// Everything that is served, for who asks by one of these names.
pub(super) fn router(shared: Arc<Shared>, keeper: Arc<Keeper>, names: Names) -> Router {
    let policy = HeaderValue::try_from(page::content_security_policy())
        .unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let page = Arc::new(Page { document: page::served().into(), policy });
    let readers = Arc::new(Semaphore::new(READERS));
    let room = Arc::new(Semaphore::new(MOST_HELD_BYTES as usize));
    let service = Service { shared, keeper, readers, room, page };
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/api/fleet.json", get(fleet))
        .route("/api/history.json", get(past))
        .fallback(async || Problem::not_found())
        .with_state(service)
        .layer(middleware::from_fn_with_state(names, guard))
}

async fn index(State(service): State<Service>) -> Response {
    let page = &service.page;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, page.policy.clone()),
    ];
    (headers, page.document.clone()).into_response()
}

/// OpenMetrics for who asks for it, as Prometheus does.
async fn metrics(State(service): State<Service>, headers: HeaderMap) -> Response {
    let shown = service.shared.shown();
    let healthy = service.shared.how_it_is().is_well();
    let open = accepts(&headers, "application/openmetrics-text");
    let of_sweep = shown.map(|shown| if open { shown.metrics.clone() } else { shown.classic.clone() });
    match service.shared.metrics.page_end(healthy) {
        Ok(end) => {
            let (kind, end) = match open {
                true => (metrics::CONTENT_TYPE, end),
                false => (classic::CONTENT_TYPE, classic::classic(&end)),
            };
            let page = Body::new(Parts([of_sweep.unwrap_or_default(), end.into()]));
            ([(header::CONTENT_TYPE, kind)], page).into_response()
        }
        Err(error) => Problem::failed(&error.to_string()).into_response(),
    }
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains(kind))
}

async fn healthz(State(service): State<Service>) -> Response {
    let health = service.shared.how_it_is();
    let status = if health.is_well() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, serde_json::to_vec(&health))
}

async fn fleet(State(service): State<Service>, headers: HeaderMap) -> Response {
    let Some(shown) = service.shared.shown() else { return Problem::not_yet().into_response() };
    let kept = HeaderValue::from_static("no-cache, private");
    let tag = [(header::ETAG, shown.tag.clone()), (header::CACHE_CONTROL, kept)];
    if has_it(&headers, &shown.tag) {
        return (StatusCode::NOT_MODIFIED, tag).into_response();
    }
    (tag, [(header::CONTENT_TYPE, "application/json")], shown.fleet.clone()).into_response()
}

/// RFC 9110 §13.1.2, with its weak comparison.
fn has_it(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let said = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    said.flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one).as_bytes() == tag.as_bytes())
}

async fn past(
    State(service): State<Service>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|_| Problem::query())?;
    let (stretch, wanted) = query::parse(&query, OsClock.system().realtime)?;
    let turn = tokio::time::timeout(PATIENCE, service.readers.clone().acquire_owned()).await;
    let Ok(Ok(turn)) = turn else { return Err(Problem::busy()) };
    let read = tokio::task::spawn_blocking(move || {
        let answer = match &wanted {
            Wanted::HeatMap { columns } => history::heat_map(&service.keeper, stretch, *columns),
            Wanted::Host { name, points } => {
                let known = service.shared.shown().is_some_and(|shown| shown.knows(name));
                history::host(&service.keeper, stretch, name, *points, known)
            }
        };
        answer.map(|answer| (answer, turn))
    });
    let (body, turn) =
        read.await.map_err(|_| Problem::failed("reading the history ended before it was done"))??;
    let body = tokio::time::timeout(PATIENCE, held(body, &service.room)).await;
    let body = body.ok().flatten().ok_or_else(Problem::busy)?;
    // Whoever waits for room keeps the turn: else any number of answers would wait with them.
    drop(turn);
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from(body)).into_response())
}

/// A body of two parts, of which nothing is copied: all who read what a sweep found have the same bytes.
struct Parts([Bytes; 2]);

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.0.iter_mut().find(|part| !part.is_empty()).map(std::mem::take);
        Poll::Ready(next.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|part| part.len() as u64).sum())
    }
}

/// An answer that takes its room until the last byte of it is sent, or its reader is gone: a slow one holds it for as long as its
/// connection lives.
struct Held {
    answer: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}

/// Waits for that room; `None` where there never is any.
async fn held(answer: Vec<u8>, room: &Arc<Semaphore>) -> Option<Bytes> {
    // One that is larger than all of it is alone.
    let bytes = u32::try_from(answer.capacity()).unwrap_or(u32::MAX).min(MOST_HELD_BYTES);
    let room = room.clone().acquire_many_owned(bytes).await.ok()?;
    Some(Bytes::from_owner(Held { answer, _room: room }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_of_two_parts_is_the_one_behind_the_other() {
        for (one, other) in [("", ""), ("", "b"), ("a", ""), ("aa", "b")] {
            let parts = Parts([one, other].map(Bytes::from));
            let length = hyper::body::Body::size_hint(&parts).exact();
            let read = axum::body::to_bytes(Body::new(parts), 10).await.unwrap();
            assert_eq!((read.len() as u64, &*read), (length.unwrap(), [one, other].concat().as_bytes()));
        }
    }

    #[tokio::test]
    async fn an_answer_takes_its_room_until_nobody_has_any_of_it() {
        let most = MOST_HELD_BYTES as usize;
        let room = Arc::new(Semaphore::new(most));
        let answer = vec![b'a'; most / 4];
        let mut readers = Vec::new();
        for _ in 0..4 {
            readers.push(held(answer.clone(), &room).await.unwrap());
        }
        assert_eq!(room.available_permits(), 0);
        let waits = Duration::from_millis(20);
        assert!(tokio::time::timeout(waits, held(vec![b'b'], &room)).await.is_err(), "there is no room");
        // As when most of it is sent.
        let rest = readers.remove(0).split_off(most / 4 - 1);
        assert!(tokio::time::timeout(waits, held(vec![b'b'], &room)).await.is_err(), "some of it is left");
        drop(rest);
        assert_eq!(room.available_permits(), most / 4);
        drop(readers);
        assert_eq!(held(vec![b'c'; 2 * most], &room).await.unwrap().len(), 2 * most);
        assert_eq!(room.available_permits(), most);
    }
}
