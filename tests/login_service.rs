//! examples/login_service as a process of its own, and a user of it in a headless Chromium, whose phone is played by
//! tests/peers/login_service.cjs.
//!
//! `SKEWGATE_PICTURES=/tmp/pictures ./tests/run login_service` leaves pictures of each page there, light and dark.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/browser.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod browser;
#[path = "support/service.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod service;
mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::BufReader;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use browser::Browser;
use serde_json::Value;
use service::{PATIENCE, Service};
use skewgate::otp::OtpauthUri;
use skewgate::time::{LocalClock, os::OsClock};
use support::chronyd::Chronyd;
use support::example;

/// What a phone's camera makes of the picture of the QR code.
fn scan(user: &Browser) -> String {
    let file = std::fs::File::open(user.profile.path().join("qr.png")).unwrap();
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    let (width, height) = (info.width.try_into().unwrap(), info.height.try_into().unwrap());
    let channels = info.color_type.samples();
    let light = |x, y| bytes[(y * width + x) * channels];
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, light);
    let [grid] = &image.detect_grids()[..] else { panic!("one QR code") };
    grid.decode().unwrap().1
}

/// Whatever page it is: accessible, whole, and nothing on it that comes from elsewhere.
fn check_page(step: &str, page: &Value) {
    let text = |name: &str| page[name].as_str().unwrap_or_default();
    assert_eq!(page["unlabelled"], 0, "{step}: each field has a label");
    assert_eq!(page["headings"], 1, "{step}: one main heading");
    assert_eq!(text("language"), "en", "{step}");
    assert!(text("title").ends_with(&format!("{} – Login service", text("heading"))), "{step}: {page}");
    assert_eq!(text("live"), "polite", "{step}");
    let wrong = text("role") == "alert";
    assert_eq!(
        wrong,
        text("title").starts_with("Not yet: "),
        "{step}: what is wrong is said in the title, too"
    );
    assert_eq!(page["scripts"], 0, "{step}");
    assert_eq!(page["images"], serde_json::json!(["/icon.svg"]), "{step}");
    assert_eq!(page["wide"], false, "{step}: nothing sticks out");
    let mut complaints = String::new();
    for complaint in page["complaints"].as_array().unwrap() {
        let complaint = complaint.as_str().unwrap();
        // Chromium calls such an answer an error, whatever is in it.
        let refused =
            ["429", "503"].iter().any(|status| complaint.contains(&format!("a status of {status}")));
        // This user may type sooner than that.
        let hasty = complaint.starts_with("info: Autofocus processing was blocked");
        if !refused && !hasty {
            writeln!(complaints, "{complaint}").unwrap();
        }
    }
    assert_eq!(complaints, "", "{step}: the console is empty, no policy is violated");
}

#[test]
#[ignore = "needs chromium and chronyd: ./tests/run"]
fn a_user_enrols_and_signs_in_and_guessers_do_not() {
    let servers: Vec<Chronyd> = (0..3).map(|_| Chronyd::honest(2)).collect();
    let sources: Vec<String> = servers.iter().map(|server| server.address().to_string()).collect();
    let data = tempfile::tempdir().unwrap();
    let mut options = vec!["--interval", "1s", "--max-age", "8s", "--data", data.path().to_str().unwrap()];
    options.extend(sources.iter().flat_map(|source| ["--source", source]));
    let service = Service::start(&options);

    let health = service.wait_for_health(200);
    let agreeing = |health: &Value| health["clock"]["last_measurement"]["agreeing"].clone();
    assert_eq!((&health["status"], agreeing(&health)), (&"ok".into(), 3.into()), "{health}");
    assert!(health["clock"]["half_width_ns"].as_u64().unwrap() < 1_000_000_000, "{health}");

    let mut user = Browser::start("login_service.cjs", [format!("http://{}", service.address)]);
    let seen = user.look();
    for (step, page) in &seen {
        if step != "waiting" {
            check_page(step, page);
            assert!(
                page["footer"].as_str().unwrap().contains("3 of 3 time sources agreed"),
                "{step}: {page}"
            );
        }
    }
    let page = |step: &str| seen.get(step).unwrap_or_else(|| panic!("{step}"));
    let message = |step: &str| page(step)["message"].as_str().unwrap();
    let path = |step: &str| page(step)["path"].as_str().unwrap();

    // A name that is HTML is refused, and shown as it was typed.
    assert!(message("enrol-markup").starts_with("Please choose another name: "));
    assert_eq!(page("enrol-markup")["name"], "<img src=x onerror=alert(1)>");
    assert_eq!(page("login-markup")["name"], "\"><script>alert(1)</script>");

    // The camera, the link and the text say the same.
    let uri = page("device")["uri"].as_str().unwrap();
    assert_eq!(scan(&user), uri);
    let uri = OtpauthUri::parse(uri).unwrap();
    assert_eq!((uri.account(), uri.issuer()), ("ada", Some("Login service")));
    let secret = page("device-secret")["secret"].as_str().unwrap();
    assert_eq!(*uri.secret().expose_base32(), secret);

    // A code that is ten minutes off, then two that are four: only these enrol.
    assert_eq!(path("device-again"), "/enrol/device");
    assert_eq!(page("device-again")["fields"], serde_json::json!(["code1", "code2"]));
    assert_ne!(page("device")["focused"], "code1", "the picture comes first");
    assert_eq!(page("device-again")["focused"], "code1");
    assert_eq!(page("device-again")["above"], 0, "what was wrong is in sight all the same");
    assert_eq!(path("enrolled"), "/login?done=enrolled");
    assert_eq!(page("enrolled")["role"], "status");

    // In; by a cookie that no script reads and no other site sends, and another one than before.
    assert_eq!((path("account"), &page("account")["user"]), ("/account", &"ada".into()));
    assert!(
        page("account")["main"].as_str().unwrap().contains(" behind: set it right"),
        "{}",
        page("account")
    );
    let (before, after) = (&page("account")["before"], &page("account")["after"]);
    assert_ne!(before["value"], after["value"]);
    assert_eq!((&after["httpOnly"], &after["sameSite"]), (&true.into(), &"Strict".into()), "{after}");
    // Out: its cookie is gone, and worth nothing to whoever kept it.
    assert_eq!(path("signed-out"), "/login?done=signed-out");
    assert_ne!(page("signed-out")["out"]["value"], after["value"]);
    assert_eq!(path("old-cookie"), "/login");

    // Not twice.
    assert!(message("replay").starts_with("This code was used already."), "{}", message("replay"));

    // Who doesn't know the password learns nothing: letter by letter the same page.
    let wrong = page("wrong-code");
    assert!(message("wrong-code").starts_with("User name, password or code is wrong."));
    for step in ["unknown-user", "wrong-password", "login-markup"] {
        for part in ["main", "title", "status", "message"] {
            assert_eq!(page(step)[part], wrong[part], "{step}");
        }
    }
    assert!(message("no-code").starts_with("A code has six digits"));

    // Wrong codes until two are asked for; a right single one isn't looked at then; two wrong ones are wrong.
    let tries = page("two-codes")["tries"].as_u64().unwrap();
    assert!((2..12).contains(&tries), "{tries} wrong codes");
    for step in ["two-codes", "two-codes-still", "two-codes-wrong"] {
        assert_eq!(path(step), "/login/codes", "{step}");
        assert_eq!(page(step)["fields"], serde_json::json!(["code1", "code2"]), "{step}");
    }
    let wrong = message("two-codes-wrong");
    assert!(wrong.starts_with("That is not right. Please type two codes in a row, none of which"), "{wrong}");
    assert_eq!((path("account-again"), &page("account-again")["user"]), ("/account", &"ada".into()));

    // A token's clock isn't learned again right after a login; of a user who doesn't exist, never: who asks can't tell one from the other,
    // nor from a wrong password.
    assert!(message("resynchronise-unknown").starts_with("That is not right, or it is too early."));
    assert!(message("resynchronise-unknown").contains("can't be learned for a quarter of an hour"));
    for step in ["resynchronise-too-early", "resynchronise-wrong-password"] {
        for part in ["main", "title", "status", "message"] {
            assert_eq!(page(step)[part], page("resynchronise-unknown")[part], "{step}");
        }
    }

    check_log(&service, secret);
    check_metrics(&service);

    // Nobody knows the time any more.
    drop(servers);
    let health = service.wait_for_health(503);
    assert_eq!((&health["status"], &health["reasons"][0]["part"]), (&"failing".into(), &"clock".into()));
    assert!(health["reasons"][0]["why"].as_str().unwrap().contains("at most 8s is allowed"), "{health}");
    // When they were last heard, and how long ago that is.
    assert_eq!(agreeing(&health), 3, "{health}");
    assert!(health["clock"]["last_measurement"]["age_s"].as_u64().unwrap() >= 7, "{health}");
    assert!(service.get("/metrics").body.contains("\nskewgate_clock_trusted 0\n"));
    user.go_on();
    let seen = user.look();
    for step in ["red", "red-login", "red-unknown-user", "red-clock", "red-device"] {
        check_page(step, &seen[step]);
        assert!(seen[step]["footer"].as_str().unwrap().starts_with("The time is not known well enough"));
    }
    // Each page speaks of what it is for, and a clock may be back in a moment.
    for (step, what) in [
        ("red-login", "You can't be signed in"),
        ("red-clock", "Your device's clock can't be learned"),
        ("red-device", "The account can't be created"),
    ] {
        let text = format!(
            "{what} at present. Please try again in a minute; if that doesn't help, tell whoever runs this service."
        );
        assert_eq!((&seen[step]["status"], &seen[step]["message"]), (&503.into(), &text.into()), "{step}");
    }
    assert_eq!(seen["red-login"]["main"], seen["red-unknown-user"]["main"]);
    let own = format!("http://{}/", service.address);
    for url in seen["end"]["requested"].as_array().unwrap() {
        assert!(url.as_str().unwrap().starts_with(&own), "nothing is fetched from elsewhere: {url}");
    }
    assert!(service.outcomes()["clock_untrusted"] >= 2);

    drop(user);
    assert_eq!(service.end().code(), Some(0), "SIGTERM is an orderly end");
}

/// One line of JSON an event, and no secret and no code in any.
fn check_log(service: &Service, secret: &str) {
    let outcomes = service.outcomes();
    let count = |outcome: &str| outcomes.get(outcome).copied().unwrap_or_default();
    assert_eq!((count("enrolled"), count("enrolment_refused")), (1, 1), "{outcomes:?}");
    assert_eq!((count("accepted"), count("replay")), (2, 1), "{outcomes:?}");
    assert!(count("wrong") >= 3 && count("unknown_token") >= 4, "{outcomes:?}");
    assert!(
        count("consecutive_codes_needed") >= 1 && count("too_early_to_resynchronise") == 1,
        "{outcomes:?}"
    );
    let (mut clocks, mut price) = (0, 0);
    for line in service.log() {
        assert!(!line.contains(secret), "{line}");
        let event: Value = serde_json::from_str(&line).unwrap();
        clocks += usize::from(event["target"] == "skewgate::clock");
        if event["target"] == "skewgate::security" {
            assert_eq!(event["client"], "127.0.0.1", "{line}");
            assert!(event["true_time"].is_string() && event["half_width_ns"].is_u64(), "{line}");
            let total = event["price_total_e15"].as_u64().unwrap();
            assert!(total >= price, "the sum of prices never falls: {line}");
            price = total;
        }
    }
    assert!(clocks > 0 && price > 0);
}

fn check_metrics(service: &Service) {
    let answer = service.get("/metrics");
    assert_eq!(
        answer.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let value = |name: &str| -> f64 {
        let line = answer.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name}: {}", answer.body)).parse().unwrap()
    };
    for (outcome, count) in service.outcomes() {
        let metric = value(&format!("skewgate_verdicts_total{{outcome=\"{outcome}\"}}"));
        assert_eq!(metric.to_string(), count.to_string(), "{outcome}");
    }
    assert!(value("skewgate_price_e15_total") > 0.0);
    assert!(value("skewgate_clock_trusted") > 0.0 && value("skewgate_clock_agreeing_sources") > 2.0);
    assert!(value("skewgate_clock_half_width_seconds") < 1.0);
    assert!(value("skewgate_clock_offset_seconds").abs() < 1.0);
    assert!(value("skewgate_clock_age_seconds") < 9.0);
    assert!(value("skewgate_store_latency_seconds_count{operation=\"write\"}") > 4.0);
    // What alerts and a dashboard ask for is there.
    let asked = concat!(
        include_str!("../examples/prometheus/skewgate.rules.yml"),
        include_str!("../examples/grafana/skewgate.json")
    );
    let names = asked.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names: BTreeSet<&str> = names.filter(|name| name.starts_with("skewgate_")).collect();
    assert!(names.len() >= 7, "{names:?}");
    for name in names {
        let is_there = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        assert!(answer.body.lines().any(is_there), "{name}: {}", answer.body);
    }
    assert!(answer.body.ends_with("# EOF\n"));
}

/// What a browser would never do.
#[test]
fn forged_forms_and_forged_cookies_do_nothing() {
    let service = Service::start(&["--system-clock", "50ms", "--store", "memory:", "--log", "info"]);
    assert_eq!(service.get("/account").status, 303, "nobody is signed in");
    let page = service.get("/enrol");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let policy = page.header("content-security-policy").unwrap();
    for part in ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let cookie = page.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; path=/; httponly; samesite=strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let post = |path: &str, cookie: &str, body: &str| {
        service.ask(&format!(
            "POST {path} HTTP/1.1\ncookie: {cookie}\ncontent-type: application/x-www-form-urlencoded\n\n{body}"
        ))
    };
    let form = |token: &str| format!("token={token}&name=ada&password=correct+horse");
    // Another visitor's token, none, and a cookie that we never gave.
    let strangers = service.get("/enrol");
    for token in [strangers.form_token(), "", "00"] {
        assert_eq!(post("/enrol", cookie, &form(token)).status, 403, "{token}");
    }
    assert_eq!(post("/enrol", "session=00", &form(page.form_token())).status, 403);
    let answer = post("/enrol", cookie, &form(page.form_token()));
    assert_eq!((answer.status, answer.header("location")), (303, Some("/enrol/device")));
    // Nor does one that is too long reach anybody.
    let long = format!("{}{}", form(page.form_token()), "x".repeat(20_000));
    assert_eq!(post("/enrol", cookie, &long).status, 413);
    assert_eq!(service.outcomes().len(), 0);
    assert_eq!(service.end().code(), Some(0));
}

/// Whoever goes astray sees a page of this site, and a way on.
#[test]
fn what_is_not_there_and_what_can_not_be_read_is_answered_by_a_page() {
    let service = Service::start(&["--system-clock", "50ms", "--store", "memory:"]);
    let page = service.get("/login");
    let cookie = page.header("set-cookie").unwrap().split(';').next().unwrap();
    let check = |request: &str, status: u16, title: &str, link: &str| {
        let answer = service.ask(request);
        assert_eq!(answer.status, status, "{request}");
        for part in [title, link, "<nav ", r#"name="viewport""#] {
            assert!(answer.body.contains(part), "{request}: {part}: {}", answer.body);
        }
        assert!(
            answer.header("content-security-policy").unwrap().contains("default-src 'none'"),
            "{request}"
        );
        answer
    };
    let (nowhere, sign_in) = ("<h1>No such page</h1>", r#"<p><a href="/login">Sign in</a></p>"#);
    check("GET /nowhere HTTP/1.1", 404, nowhere, sign_in);
    check("POST /nowhere HTTP/1.1", 404, nowhere, sign_in);
    for (request, allowed) in [("GET /logout HTTP/1.1", "post"), ("PUT /login HTTP/1.1", "get,head,post")] {
        let answer = check(request, 405, nowhere, sign_in);
        assert_eq!(answer.header("allow"), Some(allowed), "{request}");
    }

    let again = "<h1>Please begin again</h1>";
    let form = "content-type: application/x-www-form-urlencoded";
    let own = format!("token={}", page.form_token());
    for (path, link) in [
        ("/enrol", r#"<p><a href="/enrol">"#),
        ("/enrol/device", r#"<p><a href="/enrol/device">"#),
        ("/login", r#"<p><a href="/login">"#),
        ("/login/codes", r#"<p><a href="/login/codes">"#),
        ("/resynchronise", r#"<p><a href="/resynchronise">"#),
        ("/logout", r#"<p><a href="/account">"#),
    ] {
        let post =
            |kind: &str, body: &str| format!("POST {path} HTTP/1.1\ncookie: {cookie}\n{kind}\n\n{body}");
        check(&post("content-type: application/json", "{}"), 415, again, link);
        check(&post(form, "no=token"), 422, again, link);
        check(&post(form, &format!("{own}&token=00")), 422, again, link);
        check(&post(form, &"x".repeat(20_000)), 413, again, link);
        let fields = "name=ada&password=correct+horse&code1=123456&code2=123456";
        check(&post(form, &format!("token=00&{fields}")), 403, again, link);
    }
    // What is in an address is nobody's mistake but its maker's.
    assert_eq!(service.get("/login?done=enrolled&done=x").status, 200);
    assert_eq!(service.outcomes().len(), 0);
}

/// A clock that says something, but too little for any code.
#[test]
fn a_clock_that_is_known_too_badly_fails_the_health_check() {
    let service = Service::start(&["--system-clock", "10m", "--store", "memory:"]);
    let health = service.wait_for_health(503);
    assert_eq!(health["reasons"][0]["part"], "clock", "{health}");
    assert_eq!(health["reasons"].as_array().unwrap().len(), 1, "{health}");
}

/// Health and metrics are nobody's business but the operator's.
#[test]
fn machines_can_have_an_address_of_their_own() {
    let mut service =
        Service::start(&["--system-clock", "50ms", "--store", "memory:", "--internal", "127.0.0.1:0"]);
    for path in ["/healthz", "/metrics"] {
        assert_eq!(service.get(path).status, 404, "{path}");
    }
    let deadline = OsClock.raw() + PATIENCE;
    let address = loop {
        let events = service.log().into_iter().map(|line| serde_json::from_str::<Value>(&line).unwrap());
        let mut addresses = events.filter(|event| event["message"] == "listening for machines");
        if let Some(event) = addresses.next() {
            break event["address"].as_str().unwrap().parse().unwrap();
        }
        assert!(OsClock.raw() < deadline);
        thread::sleep(Duration::from_millis(10));
    };
    service.address = address;
    assert_eq!(service.get("/healthz").status, 200);
    assert_eq!(service.get("/metrics").status, 200);
    assert_eq!(service.get("/login").status, 404);
    assert_eq!(service.end().code(), Some(0));
}

/// Who guesses passwords is made to wait, whatever names are tried.
#[test]
fn a_client_that_fails_too_often_has_to_wait() {
    let service = Service::start(&["--system-clock", "50ms", "--store", "memory:", "--behind-proxy"]);
    let page = service.ask("GET /login HTTP/1.1\nx-forwarded-for: 192.0.2.1");
    let cookie = page.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__host-session=") && cookie.contains("; secure"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().replace("__host", "__Host");
    let body = format!("token={}&name=ada&password=x&code1=123456", page.form_token());
    let log_in = |client: &str| {
        service.ask(&format!(
            "POST /login HTTP/1.1\ncookie: {cookie}\nx-forwarded-for: 192.0.2.1, {client}\n\
             content-type: application/x-www-form-urlencoded\n\n{body}"
        ))
    };
    for _ in 0..20 {
        assert_eq!(log_in("2001:db8::7").status, 200);
    }
    assert_eq!(log_in("2001:db8::8").status, 429, "the same subscriber");
    assert_eq!(log_in("2001:db8:0:1::8").status, 200, "another one");
    assert_eq!(service.outcomes()["unknown_token"], 21);
    // Proxies write addresses in several ways.
    for client in ["2001:db8::9", "[2001:db8::9]", "[2001:db8::9]:443"] {
        assert_eq!(log_in(client).status, 429, "{client}");
    }
    for _ in 0..20 {
        assert_eq!(log_in("192.0.2.5:443").status, 200);
    }
    assert_eq!(log_in("192.0.2.5").status, 429);
    assert_eq!(log_in("192.0.2.6:443").status, 200, "another one");
    // What is none is the proxy's, which is told of: once, however often it comes.
    let warnings = || service.log().iter().filter(|line| line.contains("X-Forwarded-For")).count();
    assert_eq!(warnings(), 0);
    for _ in 0..20 {
        assert_eq!(log_in("unknown").status, 200);
    }
    assert_eq!(log_in("5.6.7.8.9").status, 429);
    // All of the log that was written before this is there by then.
    service.outcomes();
    assert_eq!(warnings(), 1, "{:?}", service.log());
}

/// However many guesses are sent at once, no more are judged than one after the other; and the wait is no longer for it.
#[test]
fn guesses_that_are_sent_at_once_are_no_more_than_others() {
    let service = Service::start(&["--system-clock", "50ms", "--store", "memory:"]);
    let page = service.get("/login");
    let cookie = page.header("set-cookie").unwrap().split(';').next().unwrap();
    let post = |path: &str, fields: &str| {
        service.ask(&format!(
            "POST {path} HTTP/1.1\ncookie: {cookie}\ncontent-type: application/x-www-form-urlencoded\n\n\
             token={}&{fields}",
            page.form_token()
        ))
    };
    // What is no code is no guess.
    for code in ["twelve", "12345", "1234567", "12345678", "2BC4D"].repeat(5) {
        for (path, code2) in [("/login", "123456"), ("/resynchronise", "123456"), ("/resynchronise", code)] {
            let fields = format!("name=ada&password=x&code1={code}&code2={code2}");
            let answer = post(path, &fields);
            assert_eq!(answer.status, 200);
            assert!(answer.body.contains("A code has six digits"), "{path}: {fields}");
        }
    }
    let answers: Vec<_> = thread::scope(|scope| {
        let guess = || post("/login", "name=ada&password=x&code1=123456");
        let threads: Vec<_> = (0..300).map(|_| scope.spawn(guess)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 20);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.status, 429);
        let (_, wait) = answer.body.split_once("There were too many attempts. Please try again in ").unwrap();
        let (seconds, _) = wait.split_once(" second").unwrap();
        assert!(seconds == "a" || (2..=30).contains(&seconds.parse::<u32>().unwrap()), "{seconds}");
    }
    assert_eq!(service.outcomes()["unknown_token"], 20);
    // Nor are passwords hashed for whoever begins one enrolment after the other.
    assert_eq!(post("/enrol", "name=ada&password=correct+horse").status, 429);
}

#[test]
fn enrolments_that_are_begun_cost_tries() {
    let service = Service::start(&["--system-clock", "50ms", "--store", "memory:"]);
    let page = service.get("/enrol");
    let cookie = page.header("set-cookie").unwrap().split(';').next().unwrap();
    let begin = |name: &str, password: &str| {
        let form = "content-type: application/x-www-form-urlencoded";
        let fields = format!("token={}&name={name}&password={password}", page.form_token());
        service.ask(&format!("POST /enrol HTTP/1.1\ncookie: {cookie}\n{form}\n\n{fields}")).status
    };
    for _ in 0..25 {
        assert_eq!(begin("ada", "short"), 200, "nothing is hashed for it");
    }
    for number in 0..20 {
        assert_eq!(begin(&format!("user{number}"), "correct+horse"), 303);
    }
    assert_eq!(begin("user20", "correct+horse"), 429);
}

#[test]
fn the_command_line_says_what_is_wrong_with_it() {
    let program = example::build("login_service");
    let run = |options: &[&str]| {
        let output = Command::new(&program).args(options).stdin(Stdio::null()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let (code, text) = run(&["--help"]);
    assert_eq!(code, Some(0));
    assert!(text.starts_with("Sign in with") && text.contains("--store <WHERE>"), "{text}");
    for (options, why) in [
        (&[][..], "--source <HOST[:PORT]>|--system-clock <DURATION>"),
        (&["--system-clock", "1s", "--source", "ntp1.example.org"], "cannot be used with"),
        (&["--system-clock", "1s", "--allow-single"], "cannot be used with"),
        (&["--system-clock", "1 x"], "unknown time unit"),
        (&["--source", "x:0"], "invalid value 'x:0' for '--source"),
        (&["--listen"], "a value is required"),
        (&["--sauce", "x"], "--source"),
        (
            &["--system-clock", "1s", "--store", "mysql://root:hunter2@x"],
            "--store (not shown): expected embedded, memory:",
        ),
    ] {
        let (code, text) = run(options);
        assert_eq!(code, Some(2), "{options:?}");
        assert!(text.starts_with("error: ") && text.contains(why), "{options:?}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    // An address in use is named by the option that it came from.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let always = ["--system-clock", "1s", "--store", "memory:"];
    for (option, addresses) in [
        ("--listen", ["--listen", &taken, "--internal", "127.0.0.1:0"]),
        ("--internal", ["--listen", "127.0.0.1:0", "--internal", &taken]),
    ] {
        let (code, text) = run(&[&always[..], &addresses[..]].concat());
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(&format!("{taken} can't be listened on")), "{text}");
        assert!(text.ends_with(&format!("choose another one with {option}\n")), "{text}");
    }
    // One source alone is believed only where that was asked for.
    let (code, text) = run(&["--source", "127.0.0.1", "--store", "memory:", "--listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("the clock can't be watched: "), "{text}");
}
