//! Creating an account: name and password, then a secret that a device shows codes of.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use skewgate::otp::{Algorithm, Secret};
use skewgate::token::Token;
use skewgate::validator::EnrolError;
use zeroize::Zeroizing;

use crate::error::RequestError;
use crate::forms::Form;
use crate::html::Page;
use crate::login::{CodesForm, attempt};
use crate::pages;
use crate::passwords::{LONGEST, SHORTEST};
use crate::service::Service;
use crate::sessions::{NewUser, Stage};
use crate::texts;
use crate::users::{User, UserName};
use crate::visitor::Visitor;

pub(crate) async fn show(State(service): State<Arc<Service>>, visitor: Visitor) -> Response {
    if service.signed_in(visitor).is_some() {
        return Redirect::to("/account").into_response();
    }
    let page = pages::enrol(&service.form_token(visitor), "");
    service.page(visitor, page)
}

#[derive(Deserialize)]
pub(crate) struct EnrolForm {
    name: String,
    password: String,
}

pub(crate) async fn begin(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    Form(form): Form<EnrolForm>,
) -> Result<Response, RequestError> {
    // It would sign them out.
    if service.signed_in(visitor).is_some() {
        return Ok(Redirect::to("/account").into_response());
    }
    let password = Zeroizing::new(form.password);
    let again = |answer| {
        let page = pages::enrol(&service.form_token(visitor), &form.name);
        Ok(service.page(visitor, page.saying(answer)))
    };
    let name = match UserName::parse(&form.name) {
        Ok(name) => name,
        Err(error) => return again(texts::slip(format!("Please choose another name: {error}."))),
    };
    if !(SHORTEST..=LONGEST).contains(&password.chars().count()) {
        let text = format!("Please choose another password: it needs {SHORTEST} to {LONGEST} characters.");
        return again(texts::slip(text));
    }
    // Not given back at the end: who finishes one enrolment after the other would have all of the places where passwords are hashed.
    if let Err(wait) = service.clients.take(visitor.address) {
        return again(texts::too_many(wait));
    }
    // Whoever may choose a name learns which are taken. A service that adds its users itself tells nobody.
    if service.users.find(&name)?.is_some() {
        return again(texts::slip("Please choose another name: this one is taken."));
    }
    let user = NewUser {
        name,
        password_hash: service.passwords.hash(password).await?,
        token_id: format!("token-{:016x}", getrandom::u64()?),
        // SHA-1, six digits, 30 s: what every app understands.
        secret: Secret::generate(Algorithm::Sha1).map_err(|error| RequestError::NewToken(error.into()))?,
    };
    service.renew(visitor, Stage::Enrolling { user: Box::new(user), codes: 1 }, "/enrol/device")
}

pub(crate) async fn show_device(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
) -> Result<Response, RequestError> {
    let Some(Stage::Enrolling { user, codes }) = service.sessions.stage(visitor.id) else {
        return Ok(Redirect::to("/enrol").into_response());
    };
    let page = device(&service, visitor, &user, codes, false)?;
    Ok(service.page(visitor, page))
}

fn device(
    service: &Service,
    visitor: Visitor,
    user: &NewUser,
    codes: u8,
    refused: bool,
) -> Result<Page, RequestError> {
    pages::device(&service.form_token(visitor), &user.name, &user.secret, codes, refused)
        .map_err(|error| RequestError::NewToken(error.into()))
}

/// The device has to show that it has the secret, before anybody depends on it.
pub(crate) async fn finish(
    State(service): State<Arc<Service>>,
    visitor: Visitor,
    Form(form): Form<CodesForm>,
) -> Result<Response, RequestError> {
    let (user, codes) = match service.sessions.stage(visitor.id) {
        Some(Stage::Enrolling { user, codes }) => (user, codes),
        Some(Stage::Enrolled) => return Ok(enrolled()),
        _ => return Ok(Redirect::to("/enrol").into_response()),
    };
    let again = |answer| {
        let page = device(&service, visitor, &user, codes, true)?;
        Ok(service.page(visitor, page.saying(answer)))
    };
    let Some(attempt) = attempt(visitor, &form.typed()) else { return again(texts::no_code()) };
    let taken = match service.clients.take(visitor.address) {
        Ok(taken) => taken,
        Err(wait) => return again(texts::too_many(wait)),
    };
    let sealed = service.vault.seal(&user.token_id, &user.secret)?;
    let token = service.vault.token(&user.token_id, &sealed)?;
    match service.gate.enrol(&token, &attempt).await {
        // Under an id that was drawn for this session: by this form, which was sent twice, or whose first answer was lost.
        Ok(_) | Err(EnrolError::AlreadyEnrolled) => service.clients.give_back(taken),
        Err(EnrolError::NoMatch { .. }) => return ask_for_more(&service, visitor, *user, codes),
        Err(_) => {
            service.clients.give_back(taken);
            return again(texts::not_now("The account can't be created"));
        }
    }
    let NewUser { name, password_hash, token_id, .. } = *user;
    add(&service, visitor, User { name, token_id, password_hash, sealed }, &token).await
}

fn enrolled() -> Response {
    Redirect::to("/login?done=enrolled").into_response()
}

fn ask_for_more(
    service: &Service,
    visitor: Visitor,
    user: NewUser,
    codes: u8,
) -> Result<Response, RequestError> {
    let codes = codes.saturating_add(1).min(3);
    let text = "That does not fit. Look whether you have scanned the code below, and type what the app shows now. If the clock of your \
                device may be wrong, type the code after it, too.";
    let page = device(service, visitor, &user, codes, true)?;
    service.sessions.set(visitor.id, Stage::Enrolling { user: Box::new(user), codes });
    Ok(service.page(visitor, page.saying(texts::slip(text))))
}

/// The token has a state by now. Where its row can't be written, the same form does that once it can.
async fn add(
    service: &Service,
    visitor: Visitor,
    user: User,
    token: &Token,
) -> Result<Response, RequestError> {
    let (users, name, token_id) = (service.users.clone(), user.name.clone(), user.token_id.clone());
    let added = tokio::task::spawn_blocking(move || users.insert(&user));
    let added = added.await.map_err(|_| RequestError::Panicked)??;
    if added || service.users.find(&name)?.is_some_and(|user| user.token_id == token_id) {
        service.sessions.set(visitor.id, Stage::Enrolled);
        return Ok(enrolled());
    }
    service.sessions.end(visitor.id);
    // Somebody else was quicker. What can't be removed is in the log.
    let _ = service.gate.remove(token).await;
    let page = pages::enrol(&service.form_token(visitor), name.as_str());
    let text = "Please choose another name: somebody else has taken this one meanwhile.";
    Ok(service.page(visitor, page.saying(texts::slip(text))))
}
