//! examples/login_service over each store: what was used stays used when the service is started again, and a store that is gone is
//! noticed.

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

use std::path::Path;

use service::{Answer, PATIENCE, Service};
use skewgate::otp::{Secret, Totp};
use skewgate::time::{LocalClock, os::OsClock};
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

    fn get(&self, path: &str) -> Answer {
        self.service.ask(&format!("GET {path} HTTP/1.1\ncookie: {}", self.cookie))
    }

    fn post(&self, path: &str, fields: &str) -> Answer {
        let Self { cookie, token, .. } = self;
        self.service.ask(&format!("POST {path} HTTP/1.1\ncookie: {cookie}\n{FORM}\n\ntoken={token}&{fields}"))
    }

    /// As soon as the code before the present one has been shown.
    fn enrol(&self, name: &str) -> Totp {
        let answer = self.post("/enrol", &format!("name={name}&password=correct+horse"));
        assert_eq!(answer.header("location"), Some("/enrol/device"), "{}", answer.body);
        let page = self.get("/enrol/device").body;
        let (_, rest) = page.split_once(r#"class="secret">"#).unwrap();
        let secret = Secret::from_base32(&rest.split('<').next().unwrap().replace(' ', "")).unwrap();
        let totp = Totp::builder(&secret).build().unwrap();
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
    let now = totp.step_at(OsClock.system().realtime).unwrap();
    let step = skewgate::otp::TimeStep::new(now.get() + steps).unwrap();
    totp.code_at(step).expose().to_string()
}

fn start(store: &str, data: &Path) -> Service {
    Service::start(&["--system-clock", "50ms", "--store", store, "--data", data.to_str().unwrap()])
}

/// Enrols and logs in; then, in another life, the same code once more.
fn used_codes_stay_used(store: &str) {
    let data: TempDir = tempfile::tempdir().unwrap();
    let service = start(store, data.path());
    assert_eq!(service.wait_for_health(200)["status"], "ok");
    let browser = Browser::open(&service);
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
    assert_eq!(service.outcomes().into_iter().collect::<Vec<_>>(), [("replay".to_owned(), 1)]);
    let taken = browser.post("/enrol", "name=ada&password=correct+horse");
    assert!(taken.body.contains("this one is taken"), "{}", taken.body);
    assert_eq!(service.end().code(), Some(0));
}

#[test]
fn the_embedded_store_remembers() {
    used_codes_stay_used("embedded");
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
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);

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

#[cfg(feature = "postgres")]
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn postgres_remembers_and_its_loss_is_noticed() {
    let mut server = postgres::Postgres::start();
    let address = format!("postgres://admin@127.0.0.1:{}/postgres", server.port());
    used_codes_stay_used(&address);

    let data = tempfile::tempdir().unwrap();
    let service = start(&address, data.path());
    let browser = Browser::open(&service);
    let totp = browser.enrol("bob");
    server.stop();
    let health = service.wait_for_health(503);
    assert_eq!((&health["reasons"][0]["part"], &health["status"]), (&"store".into(), &"failing".into()));
    for name in ["bob", "nobody"] {
        let answer = browser.log_in(name, &code(&totp, 0));
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(answer.body.contains("You can&#39;t be signed in at present"), "{}", answer.body);
    }
    let metrics = service.get("/metrics").body;
    assert!(!metrics.contains("skewgate_store_failures_total{operation=\"load\"} 0\n"), "{metrics}");
    // It is back, and so are the users: nothing was used meanwhile.
    server.run();
    service.wait_for_health(200);
    let answer = browser.log_in("bob", &code(&totp, 0));
    assert_eq!(answer.header("location"), Some("/account"), "{}", answer.body);
}

#[cfg(feature = "redis")]
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn redis_remembers() {
    let server = redis::RedisServer::durable();
    used_codes_stay_used(&server.url());
}
