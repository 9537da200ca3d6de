//! examples/login_service over each store: what was used stays used when the service is started again, a store that is gone is
//! noticed, and a clock that went wrong since the last login is learned.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "redis")]
#[path = "support/redis.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod redis;

#[cfg(feature = "postgres")]
#[path = "support/postgres.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod postgres;
#[path = "support/service.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod service;
mod support;

use std::ops::ControlFlow;
use std::path::Path;

use service::{Answer, PATIENCE, Service};
use skewgate::block_on;
use skewgate::otp::{Secret, TimeStep, Totp};
use skewgate::store::{Change, EmbeddedStore, ManageStore, StateStore, Written};
use skewgate::time::{LocalClock, SignedDuration, os::OsClock};
use skewgate::token::{Drift, TokenState};
use tempfile::TempDir;

const FORM: &str = "content-type: application/x-www-form-urlencoded";

/// What a browser keeps: a cookie, and what our forms carry.
struct Browser<'a> {
    service: &'a Service,
    cookie: String,
    token: String,
}

impl<'a> Browser<'a> {
    fn open(service: &'a Service) -> Self {
        let page = service.get("/login");
        let cookie = page.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Self { service, cookie, token: page.form_token().to_owned() }
    }

    /// What goes on under a new id has forms of its own.
    fn renew(&mut self, answer: &Answer, page: &str) -> Answer {
        self.cookie = answer.header("set-cookie").expect("a new id").split(';').next().unwrap().to_owned();
        let page = self.get(page);
        page.form_token().clone_into(&mut self.token);
        page
    }

    fn get(&self, path: &str) -> Answer {
        self.service.ask(&format!("GET {path} HTTP/1.1\ncookie: {}", self.cookie))
    }

    fn post(&self, path: &str, fields: &str) -> Answer {
        let Self { cookie, token, .. } = self;
        self.service.ask(&format!("POST {path} HTTP/1.1\ncookie: {cookie}\n{FORM}\n\ntoken={token}&{fields}"))
    }

    fn begin_to_enrol(&mut self, name: &str) -> Totp {
        let answer = self.post("/enrol", &format!("name={name}&password=correct+horse"));
        assert_eq!(answer.header("location"), Some("/enrol/device"), "{}", answer.body);
        let page = self.renew(&answer, "/enrol/device").body;
        let (_, rest) = page.split_once(r#"class="secret">"#).unwrap();
        let secret = Secret::from_base32(&rest.split('<').next().unwrap().replace(' ', "")).unwrap();
        Totp::builder(&secret).build().unwrap()
    }

    /// As soon as the code before the present one has been shown.
    fn enrol(&mut self, name: &str) -> Totp {
        let totp = self.begin_to_enrol(name);
        let answer = self.post("/enrol/device", &format!("code1={}", code(&totp, -1)));
        assert_eq!(answer.header("location"), Some("/login?done=enrolled"), "{}", answer.body);
        totp
    }

    fn log_in(&self, name: &str, code: &str) -> Answer {
        self.post("/login", &format!("name={name}&password=correct+horse&code1={code}"))
    }
}

/// What a phone shows, or showed so many steps ago.
fn code(totp: &Totp, steps: i64) -> String {
    code_at(totp, step_now(totp).get() + steps)
}

fn step_now(totp: &Totp) -> TimeStep {
    totp.step_at(OsClock.system().realtime).unwrap()
}

fn code_at(totp: &Totp, step: i64) -> String {
    totp.code_at(TimeStep::new(step).unwrap()).expose().to_string()
}

/// A code that is none of those around now.
fn wrong(totp: &Totp) -> String {
    let near: Vec<String> = (-30..30).map(|steps| code(totp, steps)).collect();
    (0..100).map(|number| format!("{number:06}")).find(|code| !near.contains(code)).unwrap()
}

fn start(store: &str, data: &Path) -> Service {
    Service::start(&["--system-clock", "50ms", "--store", store, "--data", data.to_str().unwrap()])
}

fn check_outcomes(service: &Service, expected: &[(&str, usize)]) {
    let outcomes = service.outcomes();
    let outcomes: Vec<(&str, usize)> =
        outcomes.iter().map(|(outcome, count)| (outcome.as_str(), *count)).collect();
    assert_eq!(outcomes, expected);
}

/// Enrols and logs in; then, in another life, the same code once more.
fn used_codes_stay_used(store: &str) {
    let data: TempDir = tempfile::tempdir().unwrap();
    let service = start(store, data.path());
    assert_eq!(service.wait_for_health(200)["status"], "ok");
    let mut browser = Browser::open(&service);
    let totp = browser.enrol("ada");
    let used = code(&totp, 0);
    let answer = browser.log_in("ada", &used);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/account")), "{}", answer.body);
    assert_eq!(service.end().code(), Some(0));

    let service = start(store, data.path());
    let browser = Browser::open(&service);
    let answer = browser.log_in("ada", &used);
    assert!(answer.body.contains("This code was used already."), "{}", answer.body);
    // A new code is right, and the second factor is the one that she has.
    check_outcomes(&service, &[("replay", 1)]);
    let taken = browser.post("/enrol", "name=ada&password=correct+horse");
    assert!(taken.body.contains("this one is taken"), "{}", taken.body);
    assert_eq!(service.end().code(), Some(0));
}

#[test]
fn the_embedded_store_remembers() {
    used_codes_stay_used("embedded");
}

/// A double click, and a form that is sent again because its answer was lost.
#[test]
fn an_account_is_created_once_however_often_its_form_is_sent() {
    let data = tempfile::tempdir().unwrap();
    let service = start("embedded", data.path());
    service.wait_for_health(200);
    let mut browser = Browser::open(&service);
    let totp = browser.begin_to_enrol("ada");
    let send = || browser.post("/enrol/device", &format!("code1={}", code(&totp, -1)));
    let answers = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(send)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).chain([send()]).collect::<Vec<_>>()
    });
    for answer in answers {
        assert_eq!(answer.header("location"), Some("/login?done=enrolled"), "{}", answer.body);
    }
    let answer = browser.log_in("ada", &code(&totp, 0));
    assert_eq!(answer.header("location"), Some("/account"), "{}", answer.body);
    assert_eq!(service.outcomes()["enrolled"], 1);
}

/// Whoever has put an id of their own into somebody's browser before doesn't see what is done in it.
#[test]
fn an_id_that_was_planted_shows_nobody_the_secret_nor_the_page_for_several_codes() {
    let service = Service::start(&["--system-clock", "50ms", "--store", "memory:"]);
    let mut user = Browser::open(&service);
    let planted = user.cookie.clone();
    let stranger = |path: &str| service.ask(&format!("GET {path} HTTP/1.1\ncookie: {planted}"));
    let totp = user.begin_to_enrol("ada");
    assert_ne!(user.cookie, planted);
    assert_eq!(stranger("/enrol/device").header("location"), Some("/enrol"));
    let answer = user.post("/enrol/device", &format!("code1={}", code(&totp, -1)));
    assert_eq!(answer.header("location"), Some("/login?done=enrolled"), "{}", answer.body);

    let mut user = Browser::open(&service);
    let planted = user.cookie.clone();
    let stranger = |path: &str| service.ask(&format!("GET {path} HTTP/1.1\ncookie: {planted}"));
    let answer = (0..12).map(|_| user.log_in("ada", &wrong(&totp))).find(|answer| answer.status == 303);
    let answer = answer.expect("several codes are asked for");
    assert_eq!(answer.header("location"), Some("/login/codes"));
    assert!(user.renew(&answer, "/login/codes").body.contains("code2"));
    assert_eq!(stranger("/login/codes").header("location"), Some("/login"));
}

/// Whoever is signed in stays so.
#[test]
fn an_enrolment_is_not_begun_by_who_is_signed_in() {
    let service = Service::start(&["--system-clock", "50ms", "--store", "memory:"]);
    let mut browser = Browser::open(&service);
    let totp = browser.enrol("ada");
    let answer = browser.log_in("ada", &code(&totp, 0));
    browser.renew(&answer, "/account");
    assert_eq!(browser.get("/enrol").header("location"), Some("/account"));
    let answer = browser.post("/enrol", "name=bob&password=correct+horse");
    assert_eq!(answer.header("location"), Some("/account"));
    assert_eq!(browser.get("/account").status, 200);
}

/// Who isn't let in, but hasn't guessed, can go on trying.
#[test]
fn used_codes_cost_no_tries() {
    let service = Service::start(&["--system-clock", "50ms", "--store", "memory:"]);
    let mut browser = Browser::open(&service);
    let totp = browser.enrol("ada");
    let used = code(&totp, 0);
    assert_eq!(browser.log_in("ada", &used).header("location"), Some("/account"));
    for _ in 0..25 {
        let answer = browser.log_in("ada", &used);
        assert!(answer.body.contains("This code was used already."), "{}", answer.body);
    }
}

/// As if each token had last been used a week earlier.
fn age_by_a_week(path: &Path) {
    const WEEK: SignedDuration = SignedDuration::from_secs(7 * 86_400);
    let store = EmbeddedStore::open(path).unwrap();
    let mut records = Vec::new();
    let mut collect = |record| {
        records.push(record);
        ControlFlow::Continue(())
    };
    block_on(store.scan(&mut collect)).unwrap();
    for record in records {
        let TokenState { watermark, drift, .. } = record.state;
        let week_ago = watermark.unwrap().checked_sub(7 * 86_400 / 30);
        let drift = Drift::from_parts(drift.mean(), drift.variance(), drift.updated() - WEEK, None);
        let state = TokenState { watermark: week_ago, drift, ..record.state };
        for change in [Change::Remove, Change::Enrol { state, budget: record.budget }] {
            assert_eq!(block_on(store.write(&record.key, change)).unwrap(), Written::Done);
        }
    }
}

#[test]
fn a_clock_that_went_wrong_is_learned_over_its_page() {
    let data = tempfile::tempdir().unwrap();
    let service = start("embedded", data.path());
    let totp = Browser::open(&service).enrol("ada");
    assert_eq!(service.end().code(), Some(0));
    age_by_a_week(&data.path().join("tokens.redb"));

    let service = start("embedded", data.path());
    let browser = Browser::open(&service);
    // Four minutes behind, and no minute passes between two of these.
    let shown = step_now(&totp).get() - 8;
    let [before, last, next] = [shown - 2, shown - 1, shown].map(|step| code_at(&totp, step));
    assert_eq!(browser.log_in("ada", &last).header("location"), None, "too far off for a login");
    let page = browser.get("/resynchronise").body;
    for field in ["name", "password", "code1", "code2"] {
        assert!(page.contains(&format!(r#"name="{field}""#)), "{field}: {page}");
    }
    let fields = format!("name=ada&password=correct+horse&code1={before}&code2={last}");
    let answer = browser.post("/resynchronise", &fields);
    assert_eq!(answer.header("location"), Some("/login?done=resynchronised"), "{}", answer.body);
    let page = browser.get("/login?done=resynchronised").body;
    assert!(page.contains("Your device&#39;s clock is known now. Sign in with the next code"), "{page}");
    // It lets nobody in by itself, and neither does a code that it has used.
    assert_eq!(browser.get("/account").header("location"), Some("/login"));
    assert!(browser.log_in("ada", &last).body.contains("This code was used already."));
    let answer = browser.log_in("ada", &next);
    assert_eq!(answer.header("location"), Some("/account"), "{}", answer.body);
    check_outcomes(&service, &[("accepted", 1), ("replay", 1), ("resynchronised", 1), ("wrong", 1)]);
}

/// Else the page would confirm passwords for as long as it is too early, at no price.
#[test]
fn the_page_for_clocks_answers_a_wrong_password_as_it_answers_what_is_too_early() {
    let service = Service::start(&["--system-clock", "50ms", "--store", "memory:"]);
    let mut browser = Browser::open(&service);
    let totp = browser.enrol("ada");
    let codes = format!("code1={}&code2={}", wrong(&totp), wrong(&totp));
    let ask =
        |password: &str| browser.post("/resynchronise", &format!("name=ada&password={password}&{codes}"));
    let answers = [ask("correct+horse"), ask("wrong+horse")];
    assert_eq!(answers[0].status, answers[1].status);
    assert_eq!(answers[0].body, answers[1].body);
    assert_eq!(service.outcomes()["too_early_to_resynchronise"], 1);
    // Nor can it be told from what the tries of this address are worth.
    let statuses: Vec<u16> = (0..25).map(|_| ask("correct+horse").status).collect();
    assert_eq!((statuses[0], statuses[24]), (200, 429), "{statuses:?}");
}

/// Who steals the user table has no codes, and who loses the key is told so at the start.
#[test]
fn secrets_are_sealed_with_a_key_of_their_own() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempfile::tempdir().unwrap();
    let service = start("embedded", data.path());
    Browser::open(&service).enrol("ada");
    assert_eq!(service.end().code(), Some(0));
    let table = std::fs::read(data.path().join("users.redb")).unwrap();
    let holds = |text: &[u8]| table.windows(text.len()).any(|window| window == text);
    let key = data.path().join("sealing.key");
    let id = std::fs::read_to_string(&key).unwrap().split(' ').next().unwrap().to_owned();
    assert!(holds(b"ada") && holds(format!("skewgate1.{id}.").as_bytes()));
    assert!(!holds(b"correct horse"));
    // Whatever rights the directory has.
    for file in ["sealing.key", "tokens.redb", "users.redb"] {
        let mode = std::fs::metadata(data.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }

    std::fs::remove_file(&key).unwrap();
    let program = support::example::build("login_service");
    let data = data.path().to_str().unwrap();
    // Where it starts after all, the test fails and doesn't wait for its end.
    let mut process = std::process::Command::new(program)
        .args(["--system-clock", "50ms", "--listen", "127.0.0.1:0", "--data", data])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = OsClock.raw() + PATIENCE;
    while process.try_wait().unwrap().is_none() && OsClock.raw() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let _ = process.kill();
    let ended = process.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("were sealed with {id}, which isn't the key")), "{said}");
}

/// Whoever can write to the user table gains nothing by giving one user another one's secret: it opens in its own row alone.
#[test]
fn a_secret_in_another_row_lets_nobody_in() {
    use redb::{ReadableDatabase, ReadableTable};
    const USERS: redb::TableDefinition<'_, &str, (&str, &str, &str)> = redb::TableDefinition::new("users");
    let data = tempfile::tempdir().unwrap();
    let service = start("embedded", data.path());
    let totp = Browser::open(&service).enrol("ada");
    Browser::open(&service).enrol("bob");
    assert_eq!(service.end().code(), Some(0));

    let users = redb::Database::open(data.path().join("users.redb")).unwrap();
    let sealed = |name: &str| -> String {
        let table = users.begin_read().unwrap().open_table(USERS).unwrap();
        table.get(name).unwrap().unwrap().value().2.into()
    };
    let ada = sealed("ada");
    let write = users.begin_write().unwrap();
    {
        let mut table = write.open_table(USERS).unwrap();
        let (token_id, password_hash) = {
            let row = table.get("bob").unwrap().unwrap();
            (row.value().0.to_owned(), row.value().1.to_owned())
        };
        table.insert("bob", (&*token_id, &*password_hash, &*ada)).unwrap();
    }
    write.commit().unwrap();
    drop(users);

    let service = start("embedded", data.path());
    let browser = Browser::open(&service);
    let answer = browser.log_in("bob", &code(&totp, 0));
    assert_eq!(answer.status, 500, "{}", answer.body);
    // A page like any other, which says nothing of that.
    assert!(answer.body.contains("<h1>Not now</h1>") && answer.body.contains("<nav "), "{}", answer.body);
    assert!(answer.header("content-security-policy").is_some());
    assert_eq!(service.outcomes().len(), 0);
    let deadline = OsClock.raw() + PATIENCE;
    while !service.log().iter().any(|line| line.contains("a request failed")) {
        assert!(OsClock.raw() < deadline, "{:?}", service.log());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// The store is gone: machines are told, and a user is told the same as nobody.
#[cfg(any(feature = "postgres", feature = "redis"))]
fn nobody_gets_in(browser: &Browser<'_>, bob: &Totp) {
    let service = browser.service;
    let health = service.wait_for_health(503);
    assert_eq!((&health["reasons"][0]["part"], &health["status"]), (&"store".into(), &"failing".into()));
    for name in ["bob", "nobody"] {
        let answer = browser.log_in(name, &code(bob, 0));
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(answer.body.contains("You can&#39;t be signed in at present"), "{}", answer.body);
    }
    let metrics = service.get("/metrics").body;
    assert!(!metrics.contains("skewgate_store_failures_total{operation=\"load\"} 0\n"), "{metrics}");
}

#[cfg(feature = "postgres")]
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn postgres_remembers_and_its_loss_is_noticed() {
    let mut server = postgres::Postgres::start();
    let address = format!("postgres://admin@127.0.0.1:{}/postgres", server.port());
    used_codes_stay_used(&address);

    let data = tempfile::tempdir().unwrap();
    let service = start(&address, data.path());
    let mut browser = Browser::open(&service);
    let totp = browser.enrol("bob");
    server.stop();
    nobody_gets_in(&browser, &totp);
    // It is back, and so are the users: nothing was used meanwhile.
    server.run();
    service.wait_for_health(200);
    let answer = browser.log_in("bob", &code(&totp, 0));
    assert_eq!(answer.header("location"), Some("/account"), "{}", answer.body);
}

#[cfg(feature = "redis")]
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn redis_remembers_and_its_loss_is_noticed() {
    let mut server = redis::RedisServer::durable();
    used_codes_stay_used(&server.url());

    let data = tempfile::tempdir().unwrap();
    let service = start(&server.url(), data.path());
    let mut browser = Browser::open(&service);
    let totp = browser.enrol("bob");
    // As often as a balancer asks: so it sees after the enrolment who has taken that.
    service.wait_for_health(200);
    server.kill();
    nobody_gets_in(&browser, &totp);
    // It is back with all that it was told, but was away: codes of until now are dead, and it doesn't take five minutes.
    server.start();
    // The health check finds that out, not bob.
    service.wait_for_health(200);
    let answer = browser.log_in("bob", &code(&totp, 0));
    // The next code, or the one after that.
    let said = ["This code was used already.", "You can&#39;t be signed in just now. Please try again in "];
    assert!(said.iter().any(|text| answer.body.contains(text)), "{}", answer.body);
    // Dead below the window's top, or all of the window is.
    let dead = if service.outcomes().contains_key("replay") { "replay" } else { "watermark_ahead" };
    let mut expected = [("enrolled", 1), ("store_failed", 2), ("store_replaced", 1), (dead, 1)];
    expected.sort_unstable();
    check_outcomes(&service, &expected);
}
