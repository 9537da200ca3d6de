//! HTML without a template language: text is escaped where it is shown.

use std::fmt::{self, Write};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Text as it has to be in HTML, in an element or in an attribute between double quotes.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            other => f.write_char(other),
        })
    }
}

/// What is said above a form.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// Something was done.
    Done(&'static str),
    /// Something wasn't, and what to do.
    Failed(String),
}

/// A page: its name, what is said, and what it has besides, as HTML.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) message: Option<Message>,
    pub(crate) body: String,
}

/// What stands around it.
pub(crate) struct Frame<'a> {
    /// Who is signed in.
    pub(crate) user: Option<&'a str>,
    /// How the clock is doing, and whether that is good enough.
    pub(crate) clock: (&'a str, bool),
}

impl Page {
    pub(crate) fn new(title: &'static str, body: String) -> Self {
        Self { status: StatusCode::OK, title, message: None, body }
    }

    pub(crate) fn with(self, message: Option<Message>) -> Self {
        Self { message, ..self }
    }

    pub(crate) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// With an answer to what was sent.
    pub(crate) fn saying(self, (status, message): (StatusCode, Message)) -> Self {
        Self { status, message: Some(message), ..self }
    }

    pub(crate) fn render(&self, frame: &Frame<'_>) -> Response {
        let (role, class, text) = match &self.message {
            None => ("status", "message none", ""),
            Some(Message::Done(text)) => ("status", "message done", *text),
            Some(Message::Failed(text)) => ("alert", "message failed", text.as_str()),
        };
        // Screen readers read the title first: it says that something is wrong.
        let prefix = if matches!(self.message, Some(Message::Failed(_))) { "Not yet: " } else { "" };
        let (title, text, body) = (Text(self.title), Text(text), &self.body);
        let links = match frame.user {
            Some(user) => format!(r#"<a href="/account">{}</a>"#, Text(user)),
            None => r#"<a href="/login">Sign in</a><a href="/enrol">Create an account</a>"#.into(),
        };
        let (clock, trusted) = frame.clock;
        let (dot, clock) = (if trusted { "dot" } else { "dot bad" }, Text(clock));
        let html = format!(
            r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{prefix}{title} – Login service</title>
<link rel="stylesheet" href="/style.css">
<link rel="icon" type="image/svg+xml" href="/icon.svg">
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header>
<a class="brand" href="/"><img src="/icon.svg" alt="" width="28" height="28">Login service</a>
<nav aria-label="Pages">{links}</nav>
</header>
<main id="main">
<h1>{title}</h1>
<div id="message" class="{class}" role="{role}" aria-live="polite">{text}</div>
{body}
</main>
<footer><p><span class="{dot}" aria-hidden="true"></span>{clock}</p></footer>
</body>
</html>
"##
        );
        (self.status, [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], html)
            .into_response()
    }
}

/// A form that sends its fields to `action`, and says that it is ours.
pub(crate) fn form(action: &str, token: &str, fields: &str, button: &str) -> String {
    format!(
        r#"<form method="post" action="{}">
<input type="hidden" name="token" value="{}">
{fields}
<button type="submit">{}</button>
</form>"#,
        Text(action),
        Text(token),
        Text(button)
    )
}

/// A field with its label. `attributes` are HTML.
pub(crate) fn field(name: &str, label: &str, hint: &str, attributes: &str) -> String {
    let (name, label, hint) = (Text(name), Text(label), Text(hint));
    if hint.0.is_empty() {
        return format!(
            r#"<div class="field"><label for="{name}">{label}</label>
<input id="{name}" name="{name}" aria-describedby="message" {attributes}></div>"#
        );
    }
    format!(
        r#"<div class="field"><label for="{name}">{label}</label>
<input id="{name}" name="{name}" aria-describedby="message {name}-hint" {attributes}>
<p class="hint" id="{name}-hint">{hint}</p></div>"#
    )
}

/// What all fields for a code have in common: a keyboard of digits, and the system's offer to fill it in.
pub(crate) const CODE: &str =
    r#"class="code" inputmode="numeric" autocomplete="one-time-code" maxlength="16" required"#;
