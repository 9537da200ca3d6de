//! Signing in, and out.
//!
//! What the answers tell about a password: at first nothing, since beside a wrong code a right one and a wrong one are answered alike,
//! after the same work. Whoever knows it is told so where a code fits that was used, and once so many wrong ones were shown beside it
//! that the token's budget is spent: then several codes are asked for, or a wait, as its user has to be told. So a few more tries confirm
//! a password that was guessed, and what bounds how many can be guessed is the limit for each client address. Nobody is let in by that.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use skewgate::otp::{Code, Digits, Format};
use skewgate::validator::{Advice, Attempt, Refused, Verdict};

use crate::LOG;
use crate::clients::Try;
use crate::error::RequestError;
use crate::forms::Form;
use crate::pages;
use crate::service::Service;
use crate::sessions::Stage;
use crate::texts;
use crate::users::User;
use crate::visitor::Visitor;

#[derive(Deserialize)]
pub(crate) struct Done {
    #[serde(default)]
    done: String,
}

pub(crate) async fn show(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    done: Result<Query<Done>, QueryRejection>,
) -> Response {
    if service.signed_in(visitor).is_some() {
        return Redirect::to("/account").into_response();
    }
    let page = pages::login(&service.form_token(visitor), "");
    // An address that says it in another way says nothing.
    service.page(visitor, page.with(done.ok().and_then(|Query(Done { done })| texts::done(&done))))
}

#[derive(Deserialize)]
pub(crate) struct LoginForm {
    name: String,
    password: String,
    code1: String,
}

pub(crate) async fn log_in(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    Form(form): Form<LoginForm>,
) -> Result<Response, RequestError> {
    let again = |answer| {
        let page = pages::login(&service.form_token(visitor), &form.name);
        Ok(service.page(visitor, page.saying(answer)))
    };
    let Some(attempt) = attempt(visitor, &[&form.code1]) else { return again(texts::no_code()) };
    let taken = match service.clients.take(visitor.address) {
        Ok(taken) => taken,
        Err(wait) => return again(texts::too_many(wait)),
    };
    // Codes are compared for whoever knows the password, and feigned for all others: so a stranger can't spend an owner's
    // budget of guesses.
    let user = service.know(&form.name, form.password).await?;
    let refused = match (validate(&service, user.as_ref(), &attempt).await?, user) {
        (Verdict::Accepted(accepted), Some(user)) => {
            service.clients.give_back(taken);
            return service.sign_in(visitor, user.name, &accepted.drift);
        }
        // Nobody's codes are never accepted.
        (Verdict::Accepted(_), None) => return Err(RequestError::Panicked),
        (Verdict::Refused(refused), user) => {
            settle(&service, taken, &refused);
            if let (Advice::ShowConsecutive(codes), Some(user)) = (refused.advice(), user) {
                let stage = Stage::ShowingCodes { user: Box::new(user), codes };
                return service.renew(visitor, stage, "/login/codes");
            }
            refused
        }
    };
    again(texts::refused(refused.advice(), 1))
}

/// What was typed, where it is codes of six digits, as all tokens here show them: with one more or less it is a slip of the finger, which
/// isn't to be paid for.
pub(crate) fn attempt(visitor: Visitor, typed: &[&str]) -> Option<Attempt> {
    let six_digits = |code: &Code| code.format() == Format::Decimal(Digits::SIX);
    let codes = typed.iter().map(|text| Code::parse(text).ok().filter(six_digits));
    let attempt = Attempt::consecutive(codes.collect::<Option<Vec<_>>>()?).ok()?;
    Some(attempt.from_client(&visitor.address.to_string()))
}

async fn validate(
    service: &Service,
    user: Option<&User>,
    attempt: &Attempt,
) -> Result<Verdict, RequestError> {
    let token = user.map(|user| service.vault.token(&user.token_id, &user.sealed)).transpose()?;
    let verdict = service.gate.validate(token.as_ref(), attempt).await;
    if let Verdict::Refused(refused) = &verdict
        && refused.advice() == Advice::TellOperator
    {
        // The event names the kind of it, this what to do about it.
        tracing::error!(target: LOG, reason = %refused.reason(), "an attempt could not be judged");
    }
    Ok(verdict)
}

/// What might be a guess has cost this client's address a try.
pub(crate) fn settle(service: &Service, taken: Try, refused: &Refused) {
    if !matches!(refused.advice(), Advice::TryAgain | Advice::ShowConsecutive(_)) {
        service.clients.give_back(taken);
    }
}

pub(crate) async fn show_codes(State(service): State<Arc<Service>>, visitor: Visitor) -> Response {
    match service.sessions.stage(visitor.id) {
        Some(Stage::ShowingCodes { codes, .. }) => {
            service.page(visitor, pages::codes(&service.form_token(visitor), codes))
        }
        _ => Redirect::to("/login").into_response(),
    }
}

#[derive(Deserialize)]
pub(crate) struct CodesForm {
    pub(crate) code1: String,
    #[serde(default)]
    pub(crate) code2: String,
    #[serde(default)]
    pub(crate) code3: String,
}

impl CodesForm {
    /// Those that were typed.
    pub(crate) fn typed(&self) -> Vec<&str> {
        let typed = [&self.code1, &self.code2, &self.code3].map(|code| code.trim());
        typed.into_iter().filter(|code| !code.is_empty()).collect()
    }
}

pub(crate) async fn log_in_with_codes(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    Form(form): Form<CodesForm>,
) -> Result<Response, RequestError> {
    let Some(Stage::ShowingCodes { user, codes }) = service.sessions.stage(visitor.id) else {
        return Ok(Redirect::to("/login").into_response());
    };
    let again = |codes, answer| {
        let page = pages::codes(&service.form_token(visitor), codes);
        Ok(service.page(visitor, page.saying(answer)))
    };
    let Some(attempt) = attempt(visitor, &form.typed()) else { return again(codes, texts::no_code()) };
    if attempt.count() != codes {
        return again(codes, texts::slip("Please type all of the codes."));
    }
    let taken = match service.clients.take(visitor.address) {
        Ok(taken) => taken,
        Err(wait) => return again(codes, texts::too_many(wait)),
    };
    let refused = match validate(&service, Some(&user), &attempt).await? {
        Verdict::Accepted(accepted) => {
            service.clients.give_back(taken);
            return service.sign_in(visitor, user.name, &accepted.drift);
        }
        Verdict::Refused(refused) => refused,
    };
    settle(&service, taken, &refused);
    let Advice::ShowConsecutive(more) = refused.advice() else {
        return again(codes, texts::refused(refused.advice(), codes));
    };
    service.sessions.set(visitor.id, Stage::ShowingCodes { user, codes: more });
    again(more, texts::refused(refused.advice(), codes))
}

pub(crate) async fn log_out(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    Form(()): Form<()>,
) -> Response {
    service.sign_out(visitor)
}

pub(crate) async fn account(State(service): State<Arc<Service>>, visitor: Visitor) -> Response {
    match service.signed_in(visitor) {
        Some(who) => {
            let page = pages::account(&service.form_token(visitor), &who.name, who.drift);
            service.page(visitor, page)
        }
        None => Redirect::to("/login").into_response(),
    }
}
