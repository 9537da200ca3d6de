//! What is on each page.

use skewgate::otp::qr::QrError;
use skewgate::otp::{OtpauthUri, Secret, UriError, qr};
use skewgate::time::SignedDuration;
use zeroize::Zeroizing;

use crate::html::{CODE, Page, Text, field, form};
use crate::passwords::{LONGEST, SHORTEST};
use crate::texts::{in_words, spoken};
use crate::users::UserName;

fn name_field(name: &str, focus: bool) -> String {
    let focus = if focus { "autofocus" } else { "" };
    let attributes = format!(
        r#"autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="64" value="{}" required {focus}"#,
        Text(name)
    );
    field("name", "User name", "", &attributes)
}

fn password_field(focus: bool) -> String {
    let focus = if focus { "autofocus" } else { "" };
    let attributes =
        format!(r#"type="password" autocomplete="current-password" maxlength="{LONGEST}" required {focus}"#);
    field("password", "Password", "", &attributes)
}

/// `count` consecutive codes.
fn code_fields(count: u8, focus: bool) -> String {
    let label = |place: u8| match place {
        1 => "The code that your device shows now",
        2 => "The next code that it shows",
        _ => "And the one after that",
    };
    let focus = |place: u8| if focus && place == 1 { "autofocus" } else { "" };
    (1..=count)
        .map(|place| field(&format!("code{place}"), label(place), "", &format!("{CODE} {}", focus(place))))
        .collect()
}

/// Name, password, and a code, all at once: what was wrong isn't named. [`login`](crate::login) says what is told all the same.
pub(crate) fn login(token: &str, name: &str) -> Page {
    let fields = name_field(name, name.is_empty())
        + &password_field(!name.is_empty())
        + &field("code1", "Code", "Six digits, as your app shows them now.", CODE);
    let links = r#"<p class="more">The code is refused again and again? <a href="/resynchronise">Your device's clock may be wrong</a>.</p>"#;
    Page::new("Sign in", form("/login", token, &fields, "Sign in") + links)
}

pub(crate) fn codes(token: &str, count: u8) -> Page {
    let intro = format!(
        r#"<p>To be sure that it is you, we need {} codes that follow each other. Type the code that your device shows now, wait until it
shows the next one, and type that, too.</p>"#,
        in_words(count)
    );
    let links = r#"<p class="more"><a href="/login">Begin again</a> · <a href="/resynchronise">Your device's clock may be wrong</a></p>"#;
    Page::new(
        "Show that it is you",
        intro + &form("/login/codes", token, &code_fields(count, true), "Sign in") + links,
    )
}

pub(crate) fn resynchronise(token: &str, name: &str) -> Page {
    let intro = r"<p>If the clock of your device has gone wrong, its codes are not those of now. Two that follow each other show how wrong it
is. They let nobody in: sign in with the next code afterwards.</p>
<p>If your device can set its clock by itself, do that first.</p>";
    let fields =
        name_field(name, name.is_empty()) + &password_field(!name.is_empty()) + &code_fields(2, false);
    let links = r#"<p class="more"><a href="/login">Back to signing in</a></p>"#;
    Page::new(
        "Your device's clock",
        intro.to_owned() + &form("/resynchronise", token, &fields, "Learn my device's clock") + links,
    )
}

pub(crate) fn enrol(token: &str, name: &str) -> Page {
    let attributes = format!(
        r#"type="password" autocomplete="new-password" minlength="{SHORTEST}" maxlength="{LONGEST}" required"#
    );
    let hint = format!("At least {SHORTEST} characters. A few words are better than one.");
    let fields = name_field(name, true) + &field("password", "Password", &hint, &attributes);
    let links = r#"<p class="more">You have an account? <a href="/login">Sign in</a>.</p>"#;
    Page::new("Create an account", form("/enrol", token, &fields, "Go on") + links)
}

/// Why a QR code can't be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeviceError {
    #[error(transparent)]
    Uri(#[from] UriError),
    #[error(transparent)]
    Qr(#[from] QrError),
}

/// The new secret, and what shows that the device has it. The second code is for devices whose clocks are far off.
pub(crate) fn device(
    token: &str,
    name: &UserName,
    secret: &Secret,
    codes: u8,
    refused: bool,
) -> Result<Page, DeviceError> {
    let uri = OtpauthUri::builder(name.as_str(), secret.clone()).issuer("Login service").build()?;
    let text = uri.expose_uri();
    let image = qr::svg(&text)?;
    let groups = grouped(&secret.expose_base32());
    // Whoever was refused has to type. The picture in between would push what was wrong out of sight.
    let (focus, fold, unfold) = if refused {
        ("autofocus", "<details><summary>Show it again</summary>", "</details>")
    } else {
        ("", "", "")
    };
    let mut fields = field("code1", "The code that your app shows now", "", &format!("{CODE} {focus}"));
    if codes > 1 {
        let optional = CODE.replace(" required", "");
        let hint = "Only if your device's clock is wrong: then wait until the app shows the next code, and type it here.";
        fields += &field("code2", "The next code", hint, &optional);
        if codes > 2 {
            fields += &field(
                "code3",
                "And the one after that",
                "For a clock that is off by more than ten minutes.",
                &optional,
            );
        }
    }
    let body = format!(
        r#"<ol class="steps">
<li><p>Scan this with your authenticator app</p>
{fold}<div class="qr" role="img" aria-label="QR code with the secret for your authenticator app">{}</div>
<details><summary>It can't be scanned?</summary>
<p>On this device, <a class="uri" href="{}">open it in your app</a>. Or type this into the app, as a time-based key:</p>
<p><code id="secret" class="secret">{}</code></p></details>{unfold}</li>
<li><p>Type what the app shows</p>
{}</li>
</ol>
<p class="more">Nobody sees this secret again, and neither will you. <a href="/enrol">Begin again</a></p>"#,
        image.as_str(),
        Text(&text),
        Text(&groups),
        form("/enrol/device", token, &fields, "Create the account")
    );
    Ok(Page::new("Add your device", body))
}

/// In fours, for who has to type it.
fn grouped(secret: &str) -> Zeroizing<String> {
    let mut groups = Zeroizing::new(String::with_capacity(secret.len() * 2));
    for (place, character) in secret.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            groups.push(' ');
        }
        groups.push(character);
    }
    groups
}

pub(crate) fn account(token: &str, name: &UserName, drift: SignedDuration) -> Page {
    let size = drift.unsigned_abs();
    let clock = match (size.as_secs(), drift.is_negative()) {
        (0, _) => "right, as far as its codes tell".into(),
        (_, true) => format!("about {} behind: set it right when you can", spoken(size)),
        (_, false) => format!("about {} ahead: set it right when you can", spoken(size)),
    };
    let body = format!(
        r#"<dl>
<div><dt>User name</dt><dd id="user">{}</dd></div>
<div><dt>Second factor</dt><dd>authenticator app</dd></div>
<div><dt>Your device's clock</dt><dd>{}</dd></div>
</dl>
{}"#,
        Text(name.as_str()),
        Text(&clock),
        form("/logout", token, "", "Sign out")
    );
    Page::new("You are signed in", body)
}

/// For a form that wasn't listened to: back to where it was.
pub(crate) fn begin_again(path: &str) -> Page {
    Page::new("Please begin again", format!(r#"<p><a href="{}">Back to the form</a></p>"#, Text(path)))
}

pub(crate) fn nowhere(why: &str) -> Page {
    Page::new("No such page", format!(r#"<p>{}</p><p><a href="/login">Sign in</a></p>"#, Text(why)))
}

/// For a request that failed, by no fault of its visitor.
pub(crate) fn failed() -> Page {
    Page::new("Not now", "<p>Something failed here. Please try again later.</p>".into())
}
