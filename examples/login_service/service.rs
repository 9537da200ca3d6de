//! What all requests share.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use skewgate::time::SignedDuration;
use skewgate::token::{Drift, DriftModel};
use skewgate::validator::Validator;

use crate::arguments::{Arguments, StoreChoice};
use crate::clients::Clients;
use crate::clock::Clock;
use crate::error::{RequestError, StartError};
use crate::html::{Frame, Page};
use crate::metrics::{Metrics, StoreMetrics};
use crate::passwords::Passwords;
use crate::sessions::{SessionId, Sessions, SignedIn, Stage};
use crate::store;
use crate::users::{User, UserName, Users};
use crate::vault::Vault;
use crate::visitor::Visitor;

/// A clock that is off by no more needs no setting.
const NOT_WORTH_A_WORD: Duration = Duration::from_secs(20);

pub(crate) struct Service {
    pub(crate) gate: Validator,
    pub(crate) clock: Arc<Clock>,
    pub(crate) users: Users,
    pub(crate) vault: Vault,
    pub(crate) passwords: Passwords,
    pub(crate) sessions: Sessions,
    pub(crate) clients: Clients,
    pub(crate) metrics: Metrics,
    pub(crate) behind_proxy: bool,
}

impl Service {
    pub(crate) async fn open(arguments: Arguments, store: StoreChoice) -> Result<Self, StartError> {
        let Arguments { clock, data, behind_proxy, .. } = arguments;
        let directory = (store != StoreChoice::Memory).then_some(data.as_path());
        if let Some(path) = directory {
            private_directory(path)
                .map_err(|source| StartError::Directory { path: path.to_owned(), source })?;
        }
        let clock = Clock::start(clock)?;
        let store_metrics = StoreMetrics::new();
        let store = store::open(&store, &data, store_metrics.clone()).await?;
        let gate = Validator::builder(store, clock.clone()).build()?;
        let users = Users::open(directory.map(|path| path.join("users.redb")).as_deref())?;
        let vault = Vault::open(directory)?;
        vault.check(users.sealed()?)?;
        Ok(Self {
            metrics: Metrics::new(store_metrics, gate.clone(), clock.clone()),
            gate,
            clock,
            users,
            vault,
            passwords: Passwords::new().map_err(StartError::Passwords)?,
            sessions: Sessions::new()?,
            clients: Clients::default(),
            behind_proxy,
        })
    }

    /// `__Host-` makes browsers refuse such a cookie from any other host, and without TLS.
    pub(crate) const fn cookie_name(&self) -> &'static str {
        if self.behind_proxy { "__Host-session" } else { "session" }
    }

    /// Sets the browser's id, or takes it away.
    pub(crate) fn cookie(&self, id: Option<SessionId>) -> Option<HeaderValue> {
        let secure = if self.behind_proxy { "; Secure" } else { "" };
        let (value, age) = id.map_or((String::new(), "; Max-Age=0"), |id| (id.text(), ""));
        let name = self.cookie_name();
        HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}")).ok()
    }

    pub(crate) fn form_token(&self, visitor: Visitor) -> String {
        self.sessions.form_token(visitor.id)
    }

    pub(crate) fn signed_in(&self, visitor: Visitor) -> Option<SignedIn> {
        match self.sessions.stage(visitor.id) {
            Some(Stage::SignedIn(who)) => Some(who),
            _ => None,
        }
    }

    pub(crate) fn page(&self, visitor: Visitor, page: Page) -> Response {
        let who = self.signed_in(visitor);
        let report = self.clock.report();
        let summary = report.summary();
        page.render(&Frame {
            user: who.as_ref().map(|who| who.name.as_str()),
            clock: (&summary, report.now.is_ok()),
        })
    }

    /// Whose name and password these are; `None` where there is no such user, or the password is wrong: both take as long.
    pub(crate) async fn know(&self, name: &str, password: String) -> Result<Option<User>, RequestError> {
        let user = match UserName::parse(name) {
            Ok(name) => self.users.find(&name)?,
            Err(_) => None,
        };
        let hash = user.as_ref().map(|user| user.password_hash.as_str());
        let right = self.passwords.is_right(password.into(), hash).await?;
        Ok(user.filter(|_| right))
    }

    /// Goes on under a new id: one that somebody else has put into this browser before is worth nothing.
    pub(crate) fn renew(&self, visitor: Visitor, stage: Stage, to: &str) -> Result<Response, RequestError> {
        let id = SessionId::generate()?;
        self.sessions.end(visitor.id);
        self.sessions.set(id, stage);
        Ok(self.with_cookie(Some(id), to))
    }

    pub(crate) fn sign_in(
        &self,
        visitor: Visitor,
        name: UserName,
        drift: &Drift,
    ) -> Result<Response, RequestError> {
        let deviation = drift.deviation_at(&DriftModel::default(), drift.updated());
        let surely_off = drift.mean().unsigned_abs() > NOT_WORTH_A_WORD + 2 * deviation;
        let drift = if surely_off { drift.mean() } else { SignedDuration::ZERO };
        self.renew(visitor, Stage::SignedIn(SignedIn { name, drift }), "/account")
    }

    pub(crate) fn sign_out(&self, visitor: Visitor) -> Response {
        self.sessions.end(visitor.id);
        self.with_cookie(None, "/login?done=signed-out")
    }

    fn with_cookie(&self, id: Option<SessionId>, to: &str) -> Response {
        let mut response = Redirect::to(to).into_response();
        response.headers_mut().extend(self.cookie(id).map(|cookie| (header::SET_COOKIE, cookie)));
        response
    }
}

/// Nobody else on this host has any business there. One that exists keeps the rights that it has: each file in it is closed by itself.
fn private_directory(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Nothing was let in; the reason is for the log. The page to it is [`introduce`](crate::visitor::introduce)'s, who knows the visitor.
impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        tracing::error!(target: crate::LOG, error = %self, "a request failed");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}
