//! A webhook: changes of states, posted as JSON.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use super::super::log::TARGET;
use super::{Document, Waiting};
use crate::cli::WebhookUrl;

/// What it waits before it tries again; the last one again and again.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(16), Duration::from_mins(1)];

/// After so many tries in vain that is told, and counted.
const TRIES: usize = 3;

/// Nobody reads an answer: what is behind its head is left unread.
const MOST_HEADER_BYTES: usize = 16 * 1024;

#[derive(Clone)]
pub(super) struct Webhook {
    url: WebhookUrl,
    agent: Agent,
    /// It ends after [`TRIES`]: somebody waits for that.
    once: bool,
}

/// Why it wasn't delivered.
struct Failure {
    problem: String,
    /// It may be another time.
    passing: bool,
}

impl Webhook {
    pub(super) fn new(url: WebhookUrl, limit: Duration, once: bool) -> Self {
        let mut tls = TlsConfig::builder();
        if url.as_secret().starts_with("https:") {
            // Whom this host trusts: a webhook is often one of its own network.
            let found = rustls_native_certs::load_native_certs();
            let roots: Vec<_> = found
                .certs
                .iter()
                .map(|certificate| ureq::tls::Certificate::from_der(certificate).to_owned())
                .collect();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            tls = tls
                .root_certs(RootCerts::new_with_certs(&roots))
                .unversioned_rustls_crypto_provider(provider);
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(limit))
            // An address that is a secret is not taken elsewhere.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_response_header_size(MOST_HEADER_BYTES)
            .user_agent(concat!("skew-check/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls.build())
            .build()
            .new_agent();
        Self { url, agent, once }
    }

    pub(super) async fn work(self, mut waiting: Waiting) {
        while let Some(document) = waiting.next().await {
            self.deliver(&document, &waiting).await;
        }
    }

    /// Until it is taken, or refused for good: what could not be told now is to be known all the more later.
    async fn deliver(&self, document: &Arc<Document>, waiting: &Waiting) {
        for tries in 1.. {
            let (webhook, content) = (self.clone(), document.clone());
            let posted = tokio::task::spawn_blocking(move || webhook.post(&content)).await;
            let problem = match posted {
                Ok(Ok(())) => return waiting.delivered(),
                Ok(Err(Failure { problem, passing: true })) => problem,
                Ok(Err(Failure { problem, passing: false })) => return waiting.refused(document, &problem),
                Err(_) => "it ended before it was done".to_owned(),
            };
            if tries == TRIES {
                waiting.failed(document, &problem);
                if self.once {
                    return;
                }
            } else {
                info!(
                    target: TARGET,
                    event = "notification_delayed",
                    webhook = self.url.host(),
                    problem = crate::output::harmless(&problem),
                    "the webhook did not take it: once more"
                );
            }
            let [.., longest] = PAUSES;
            tokio::time::sleep(PAUSES.get(tries - 1).copied().unwrap_or(longest)).await;
        }
    }

    fn post(&self, document: &Document) -> Result<(), Failure> {
        let answer = self
            .agent
            .post(self.url.as_secret())
            .header("Content-Type", "application/json")
            .send(&document.json[..]);
        match answer.map(|answer| answer.status().as_u16()) {
            Ok(200..=299) => Ok(()),
            Ok(status) => Err(Failure {
                problem: format!("{} answered with status {status}", self.url.host()),
                passing: matches!(status, 408 | 425 | 429 | 500..=599),
            }),
            Err(error) => Err(Failure { problem: self.told_of(&error), passing: true }),
        }
    }

    /// What went wrong, without the address.
    fn told_of(&self, error: &ureq::Error) -> String {
        match error {
            ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) => {
                format!("{}: the address can't be used", self.url.host())
            }
            error => format!("{}: {}", self.url.host(), error.to_string().replace(self.url.as_secret(), "…")),
        }
    }
}
