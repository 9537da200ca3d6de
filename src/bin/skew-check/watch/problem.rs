//! What is answered to a request that can't be answered.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::output::harmless;

/// An answer in place of the one that was asked for: JSON, with what was got and what was expected.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    schema: &'static str,
    #[serde(skip)]
    status: StatusCode,
    /// Stable: what a program looks at.
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
}

/// Of what somebody else wrote, so much is repeated.
const MOST_REPEATED: usize = 200;

fn repeated(text: &str) -> String {
    harmless(&text.chars().take(MOST_REPEATED).collect::<String>())
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: String) -> Self {
        Self { schema: "skew-check/problem/1", status, code, detail, parameter: None }
    }

    pub(super) fn parameter(name: &str, got: &str, expected: &str) -> Self {
        let detail = format!("{} is {:?}: write {expected}", repeated(name), repeated(got));
        Self {
            parameter: Some(repeated(name)),
            ..Self::new(StatusCode::BAD_REQUEST, "bad_parameter", detail)
        }
    }

    pub(super) fn unknown_parameter(name: &str, known: &str) -> Self {
        let detail =
            format!("there is no parameter {:?}, or it is there twice; there are {known}", repeated(name));
        Self {
            parameter: Some(repeated(name)),
            ..Self::new(StatusCode::BAD_REQUEST, "unknown_parameter", detail)
        }
    }

    pub(super) fn query() -> Self {
        let detail = "what is behind the question mark is no list of name=value".to_owned();
        Self::new(StatusCode::BAD_REQUEST, "bad_query", detail)
    }

    pub(super) fn no_host() -> Self {
        let detail = "a request needs exactly one Host, the one that it is for".to_owned();
        Self::new(StatusCode::BAD_REQUEST, "no_host", detail)
    }

    /// RFC 9110 §15.5.20.
    pub(super) fn unknown_host(name: &str) -> Self {
        let detail = format!(
            "this is not {:?}: use its address, or start it with --allow-host and that name",
            repeated(name)
        );
        Self::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", detail)
    }

    pub(super) fn method() -> Self {
        let detail = "there is nothing to change here: GET and HEAD".to_owned();
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail)
    }

    pub(super) fn not_found() -> Self {
        let detail = "there are /, /metrics, /healthz, /api/fleet.json and /api/history.json".to_owned();
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    pub(super) fn no_such_host(name: &str) -> Self {
        let detail = format!("{:?} is not in the inventory, and there is no history of it", repeated(name));
        Self::new(StatusCode::NOT_FOUND, "no_such_host", detail)
    }

    pub(super) fn not_yet() -> Self {
        let detail = "the first sweep has not ended yet".to_owned();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_yet", detail)
    }

    pub(super) fn busy() -> Self {
        let detail = "too many are asking for the history at once: ask again".to_owned();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
    }

    pub(super) fn failed(detail: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", repeated(detail))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = super::json(status, serde_json::to_vec(&self));
        let headers = response.headers_mut();
        match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            _ => {}
        }
        response
    }
}
