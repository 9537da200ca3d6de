//! What browsers send: forms that can be read, from pages of ours.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::html::Message;
use crate::pages;
use crate::service::Service;
use crate::visitor::Visitor;

/// A form's fields. What can't be read, or was sent by somebody else's page, is answered here.
pub(crate) struct Form<T>(pub(crate) T);

/// As it comes: with what only our own pages can carry.
#[derive(Deserialize)]
struct Sent<T> {
    token: String,
    #[serde(flatten)]
    fields: T,
}

impl<T: DeserializeOwned> FromRequest<Arc<Service>> for Form<T> {
    type Rejection = Response;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, service).await;
        let visitor = visitor.map_err(IntoResponse::into_response)?;
        // Each form is sent to the page that it is on, but for the one that signs out.
        let page = if parts.uri.path() == "/logout" { "/account" } else { parts.uri.path() }.to_owned();
        let refuse = |status, text: &str| {
            let page = pages::begin_again(&page).saying((status, Message::Failed(text.into())));
            service.page(visitor, page)
        };
        let request = Request::from_parts(parts, body);
        match axum::extract::Form::<Sent<T>>::from_request(request, service).await {
            Err(unreadable) => Err(refuse(unreadable.status(), "This form can't be read.")),
            Ok(axum::extract::Form(sent)) if service.sessions.is_own_form(visitor.id, &sent.token) => {
                Ok(Self(sent.fields))
            }
            Ok(_) => {
                let text = "This form is too old, or it did not come from this site. Nothing was done.";
                Err(refuse(StatusCode::FORBIDDEN, text))
            }
        }
    }
}
