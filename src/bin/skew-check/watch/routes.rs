//! What is served, and how it is answered.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use tokio::sync::Semaphore;

use skewgate::time::LocalClock;
use skewgate::time::os::OsClock;

use super::guard::{Names, guard};
use super::history::Keeper;
use super::problem::Problem;
use super::query::{self, Wanted};
use super::state::Shared;
use super::{history, json, metrics};
use crate::page;

/// So many read the history at once: each may hold a table of all hosts.
const READERS: usize = 2;

/// So long others wait for their turn.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Service {
    shared: Arc<Shared>,
    keeper: Arc<Keeper>,
    readers: Arc<Semaphore>,
    page: Arc<Page>,
}

/// The page and its policy: the same for everybody, as long as it runs.
struct Page {
    document: axum::body::Bytes,
    policy: HeaderValue,
}

/// Everything that is served, for who asks by one of these names.
pub(super) fn router(shared: Arc<Shared>, keeper: Arc<Keeper>, names: Names) -> Router {
    let policy = HeaderValue::try_from(page::content_security_policy())
        .unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let page = Arc::new(Page { document: page::served().into(), policy });
    let service = Service { shared, keeper, readers: Arc::new(Semaphore::new(READERS)), page };
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

async fn metrics(State(service): State<Service>) -> Response {
    let shown = service.shared.shown();
    let healthy = service.shared.how_it_is().is_well();
    match service.shared.metrics.page(shown.as_ref().map(|shown| &shown.metrics), healthy) {
        Ok(page) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], page).into_response(),
        Err(error) => Problem::failed(&error.to_string()).into_response(),
    }
}

async fn healthz(State(service): State<Service>) -> Response {
    let health = service.shared.how_it_is();
    let status = if health.is_well() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, serde_json::to_vec(&health))
}

async fn fleet(State(service): State<Service>, headers: HeaderMap) -> Response {
    let Some(shown) = service.shared.shown() else { return Problem::not_yet().into_response() };
    let tag = [(header::ETAG, shown.tag.clone())];
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
        drop(turn);
        answer
    });
    let body = read.await.map_err(|_| Problem::failed("reading the history ended before it was done"))??;
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from(body)).into_response())
}
