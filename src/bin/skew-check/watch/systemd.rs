//! What systemd is told, where it asked to be: that the service is ready, that it lives, that it ends.

#[cfg(target_os = "linux")]
use std::time::Duration;

#[cfg(target_os = "linux")]
use sd_notify::NotifyState;

/// It listens.
pub(super) fn ready() {
    #[cfg(target_os = "linux")]
    say(NotifyState::Ready);
}

/// It is ending.
pub(super) fn stopping() {
    #[cfg(target_os = "linux")]
    say(NotifyState::Stopping);
}

/// Says again and again that it lives, as long as `alive` says so. Ends at once where nobody wants to know.
#[cfg(target_os = "linux")]
pub(super) async fn keep_alive(alive: impl Fn() -> bool) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    // As sd_watchdog_enabled(3) asks: twice as often as needed.
    let pause = (limit / 2).max(Duration::from_millis(1));
    loop {
        if alive() {
            say(NotifyState::Watchdog);
        }
        tokio::time::sleep(pause).await;
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) async fn keep_alive(_: impl Fn() -> bool) {}

/// Where it can't be told there is nobody to tell that to.
#[cfg(target_os = "linux")]
fn say(state: NotifyState<'_>) {
    let _ = sd_notify::notify(&[state]);
}
