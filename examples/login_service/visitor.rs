//! Who a request is from; and what goes with every answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Once};

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::LOG;
use crate::error::RequestError;
use crate::pages;
use crate::service::Service;
use crate::sessions::SessionId;

/// Nothing from elsewhere, no script, no style in a page, no frame around it, and forms come back to us.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

const HEADERS: [(header::HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
];

/// Who sends a request.
#[derive(Clone, Copy)]
pub(crate) struct Visitor {
    pub(crate) id: SessionId,
    pub(crate) address: IpAddr,
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = RequestError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, RequestError> {
        // [`introduce`] has put it there.
        parts.extensions.get::<Self>().copied().ok_or(RequestError::Panicked)
    }
}

/// Gives a browser that has none an id, and every answer its headers.
pub(crate) async fn introduce(
    State(service): State<Arc<Service>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let known = cookie(request.headers(), service.cookie_name());
    let id = match known.map_or_else(SessionId::generate, Ok) {
        Ok(id) => id,
        Err(error) => return RequestError::from(error).into_response(),
    };
    let address = if service.behind_proxy { forwarded(request.headers(), peer.ip()) } else { peer.ip() };
    let visitor = Visitor { id, address };
    request.extensions_mut().insert(visitor);
    let mut response = next.run(request).await;
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        response = service.page(visitor, pages::failed().status(StatusCode::INTERNAL_SERVER_ERROR));
    }
    let headers = response.headers_mut();
    if known.is_none() && !headers.contains_key(header::SET_COOKIE) {
        headers.extend(service.cookie(Some(id)).map(|cookie| (header::SET_COOKIE, cookie)));
    }
    for (name, value) in HEADERS {
        if name != header::STRICT_TRANSPORT_SECURITY || service.behind_proxy {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    // A secret, or who is signed in, is on every page.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<SessionId> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(key, value)| (key == name).then(|| SessionId::parse(value))?)
}

/// The address that our own proxy has added: those before it are the client's claims. Where it has added none, the proxy's own.
fn forwarded(headers: &HeaderMap, proxy: IpAddr) -> IpAddr {
    // Once: whoever can send such a request could fill the log, and what to do doesn't change.
    static SAID: Once = Once::new();
    last_forwarded(headers).unwrap_or_else(|| {
        SAID.call_once(|| {
            tracing::warn!(
                target: LOG,
                %proxy,
                "a request has no address at the end of X-Forwarded-For, so all such clients share the proxy's address and its tries: have \
                 the proxy append its client's address (in nginx: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for)"
            );
        });
        proxy
    })
}

/// Some proxies add the port, and some write IPv6 addresses in brackets.
fn last_forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    let last = last.rsplit(',').next()?.trim();
    let plain = last.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(last);
    let with_port = || last.parse().map(|address: SocketAddr| address.ip());
    plain.parse().or_else(|_| with_port()).ok()
}
