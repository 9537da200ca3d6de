//! Learning where the clock of a user's device is. Nobody is signed in by it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use skewgate::validator::{Advice, Verdict};

use crate::error::RequestError;
use crate::forms::Form;
use crate::login::attempt;
use crate::pages;
use crate::service::Service;
use crate::texts;
use crate::visitor::Visitor;

pub(crate) async fn show(State(service): State<Arc<Service>>, visitor: Visitor) -> Response {
    let page = pages::resynchronise(&service.form_token(visitor), "");
    service.page(visitor, page)
}

#[derive(Deserialize)]
pub(crate) struct ResynchronisationForm {
    name: String,
    password: String,
    code1: String,
    code2: String,
}

/// RFC 6238 §6 asks for an authentication besides: here it is the password.
pub(crate) async fn resynchronise(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    Form(form): Form<ResynchronisationForm>,
) -> Result<Response, RequestError> {
    let again = |answer| {
        let page = pages::resynchronise(&service.form_token(visitor), &form.name);
        Ok(service.page(visitor, page.saying(answer)))
    };
    let Some(attempt) = attempt(visitor, &[&form.code1, &form.code2]) else {
        return again(texts::no_code());
    };
    let taken = match service.clients.take(visitor.address) {
        Ok(taken) => taken,
        Err(wait) => return again(texts::too_many(wait)),
    };
    let ended = match service.know(&form.name, form.password).await? {
        Some(user) => {
            let token = service.vault.token(&user.token_id, &user.sealed)?;
            service.gate.resynchronise(&token, &attempt).await.map(drop)
        }
        // The same work, and the same answer as to any other refusal.
        None => match service.gate.validate(None, &attempt).await {
            Verdict::Accepted(_) => return Err(RequestError::Panicked),
            Verdict::Refused(refused) => Err(refused),
        },
    };
    let refused = match ended {
        Ok(()) => {
            service.clients.give_back(taken);
            return Ok(Redirect::to("/login?done=resynchronised").into_response());
        }
        Err(refused) => refused,
    };
    // All else costs a try, be it a guess or too early: else the tries that are left would tell one from the other.
    if refused.advice() == Advice::TellOperator {
        service.clients.give_back(taken);
    }
    again(texts::not_resynchronised(refused.advice()))
}
