//! What every request must be, and what every answer says.
//!
//! Nobody logs in here. What keeps a page from elsewhere from reading what a browser on this host may read is that its origin is
//! another: but it could make its own name point at 127.0.0.1 (DNS rebinding). Then the browser asks for that name, and that is not
//! one of ours.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// The address of this host that a client is connected to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local(pub(super) SocketAddr);

/// The names by which it may be asked for.
#[derive(Clone, Debug)]
pub(super) struct Names {
    listen: IpAddr,
    allowed: Arc<[String]>,
}

impl Names {
    pub(super) fn new(listen: SocketAddr, allowed: &[String]) -> Self {
        Self { listen: listen.ip(), allowed: allowed.into() }
    }

    /// Whatever the port is: it may be forwarded.
    fn knows(&self, authority: &Authority, local: IpAddr) -> bool {
        let host = authority.host().trim_end_matches('.');
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(address) => {
                let address = address.to_canonical();
                address.is_loopback()
                    || address == self.listen
                    || address == local.to_canonical()
                    || self.allowed.iter().any(|name| name.parse() == Ok(address))
            }
            Err(_) => {
                bare.eq_ignore_ascii_case("localhost")
                    || self.allowed.iter().any(|name| name.eq_ignore_ascii_case(bare))
            }
        }
    }
}

/// Refuses what is asked of somebody else, and writes on every answer how it may be used.
pub(super) async fn guard(
    State(names): State<Names>,
    Extension(Local(local)): Extension<Local>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match asked_for(&request) {
        Some(authority) if names.knows(&authority, local.ip()) => next.run(request).await,
        Some(authority) => Problem::unknown_host(authority.host()).into_response(),
        None => Problem::no_host().into_response(),
    };
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response = Problem::method().into_response();
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What is asked for again and again may be kept, and is asked for with its tag.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    // The page has one of its own.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox"));
    response
}

/// Whom the request is for: exactly one, and the same in its target, where that says it too.
fn asked_for(request: &Request) -> Option<Authority> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, None) = (hosts.next()?, hosts.next()) else { return None };
    let authority: Authority = host.to_str().ok()?.parse().ok()?;
    if authority.as_str().contains('@') {
        return None;
    }
    match request.uri().authority() {
        Some(target) if *target != authority => None,
        _ => Some(authority),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_names_are_known() {
        let names = |listen: &str, allowed: &[&str]| {
            let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
            Names::new(listen.parse().unwrap(), &allowed)
        };
        let local: IpAddr = [192, 0, 2, 7].into();
        let all = names("0.0.0.0:9124", &["fleet.example.org", "198.51.100.1"]);
        let known = |name: &str| all.knows(&name.parse().unwrap(), local);
        for right in [
            "localhost",
            "LOCALHOST:9124",
            "localhost.",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]:9124",
            "192.0.2.7:9124",
            "[::ffff:127.0.0.1]",
            "Fleet.Example.org:443",
            "198.51.100.1",
        ] {
            assert!(known(right), "{right}");
        }
        for wrong in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "198.51.100.2",
            "[2001:db8::1]",
            "2130706433",
            "0x7f000001",
            "localhost.localdomain",
        ] {
            assert!(!known(wrong), "{wrong}");
        }
        assert!(!names("127.0.0.1:1", &[]).knows(&"192.0.2.7".parse().unwrap(), [127, 0, 0, 1].into()));
    }
}
