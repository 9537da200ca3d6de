//! Addresses that there aren't, and those that are asked in another way than they answer to.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::pages;
use crate::service::Service;
use crate::visitor::Visitor;

pub(crate) async fn no_such_page(State(service): State<Arc<Service>>, visitor: Visitor) -> Response {
    let page = pages::nowhere("There is nothing at this address.");
    service.page(visitor, page.status(StatusCode::NOT_FOUND))
}

pub(crate) async fn no_such_method(State(service): State<Arc<Service>>, visitor: Visitor) -> Response {
    let page = pages::nowhere("This address can't be asked for in this way.");
    service.page(visitor, page.status(StatusCode::METHOD_NOT_ALLOWED))
}
