//! `/healthz` and `/metrics`: for machines.

use std::fmt::Display;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use skewgate::time::TimeInterval;
use skewgate::validator::Reason;

use crate::metrics::Metrics;
use crate::service::Service;

/// 200 where codes can be judged and kept; 503 with the reasons otherwise, so that a balancer sends users elsewhere.
pub(crate) async fn healthz(State(service): State<Arc<Service>>) -> Response {
    let report = service.clock.report();
    let mut reasons = Vec::new();
    let mut fails =
        |part: &str, why: &dyn Display| reasons.push(json!({ "part": part, "why": why.to_string() }));
    if let Err(error) = &report.now {
        fails("clock", error);
    }
    match service.gate.check().await {
        // It was told of above, unless it is known, but too badly.
        Err(Reason::ClockUntrusted(fault)) if report.now.is_ok() => fails("clock", &fault),
        Ok(()) | Err(Reason::ClockUntrusted(_)) => {}
        Err(error) => fails("store", &error),
    }
    if let Err(error) = service.users.probe() {
        fails("users", &error);
    }
    let nanos = |now: &TimeInterval| u64::try_from(now.half_width().as_nanos()).unwrap_or(u64::MAX);
    let measured = report.measured.as_ref();
    let body = json!({
        "status": if reasons.is_empty() { "ok" } else { "failing" },
        "reasons": reasons,
        "clock": {
            "half_width_ns": report.now.as_ref().ok().map(nanos),
            "offset_ns": measured.and_then(|measured| measured.offset).map(|offset| offset.as_nanos()),
            "configured": measured.map(|measured| measured.configured),
            // What it says stays while nobody answers any more, and grows old.
            "last_measurement": measured.map(|measured| json!({
                "age_s": measured.age.map(|age| age.as_secs()),
                "agreeing": measured.agreeing,
            })),
            "last_error": measured.and_then(|measured| measured.last_error.as_deref()),
        },
    });
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

pub(crate) async fn metrics(State(service): State<Arc<Service>>) -> Response {
    match service.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
