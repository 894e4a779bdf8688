//! An installation of macOS in this terminal: how far it is, and Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use vm::{Bundle, Cancel, Check, Draft, FetchProgress, Fetched, InstallError, InstallStep, NewMac};

use crate::disk::size;
use crate::failure::{Failure, Status};
use crate::run::{Listener, Signal};
use crate::say;

/// How often programs are told how many bytes have come.
const INTERVAL: Duration = Duration::from_secs(1);
/// The last steps of a bar in thousandths.
const WHOLE: u64 = 1000;

/// Installs. The first signal gives it up, which takes the framework a moment; the second ends the process at once, and
/// what is left then is no machine and is swept away by the next `russet list` or `create`.
pub(super) fn run(new: &NewMac, draft: Draft, json: bool) -> Result<Bundle, Failure> {
    let (cancel, signal) = (Cancel::default(), Arc::new(AtomicU8::new(0)));
    let _listener = listen(cancel.clone(), signal.clone())?;
    let mut teller = Teller::new(json);
    let made = vm::install_macos(new, draft, &cancel, &mut |step| teller.tell(step));
    teller.bar.finish_and_clear();
    made.map_err(|error| failed(error, Some(signal.load(Ordering::Relaxed)).filter(|number| *number > 0)))
}

fn listen(cancel: Cancel, signal: Arc<AtomicU8>) -> Result<Listener, Failure> {
    let heard = move |event| {
        let Signal::End(number) = event else { return };
        if signal.swap(number, Ordering::Relaxed) > 0 {
            std::process::exit(i32::from(Status::Killed(number).code()));
        }
        say::note("giving it up; once more to leave at once");
        cancel.cancel();
    };
    Listener::start(heard)
        .map_err(|error| Failure::new(Status::Host, format!("signals cannot be listened to: {error}")))
}

/// What an error means for the command, which `signal` may have given up.
pub(super) fn failed(error: InstallError, signal: Option<u8>) -> Failure {
    match (error, signal) {
        (InstallError::Problems { problems }, _) => Failure::configuration(problems),
        (InstallError::Bundle(error), _) => super::failed(error),
        (error @ InstallError::Cancelled, Some(signal)) => Failure::new(Status::Killed(signal), error.to_string()),
        (error, _) => Failure::new(Status::Host, error.to_string()),
    }
}

/// Tells people, or programs, how far it is.
struct Teller {
    json: bool,
    bar: ProgressBar,
    /// What was said last.
    said: Option<String>,
    /// When programs were told of bytes last.
    told: Option<Instant>,
}

impl Teller {
    fn new(json: bool) -> Self {
        let target = if json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Self { json, bar: ProgressBar::with_draw_target(None, target), said: None, told: None }
    }

    fn tell(&mut self, step: InstallStep) {
        if self.json {
            self.tell_program(&step);
        } else {
            self.tell_person(&step);
        }
    }

    fn tell_program(&mut self, step: &InstallStep) {
        if let InstallStep::Fetching(FetchProgress::Fetching { .. } | FetchProgress::Checking { .. }) = step {
            if self.told.is_some_and(|told| told.elapsed() < INTERVAL) {
                return;
            }
            self.told = Some(Instant::now());
        }
        say::line(&event(step).to_string());
    }

    fn tell_person(&mut self, step: &InstallStep) {
        if let Some(words) = words(step).filter(|words| self.said.as_ref() != Some(words)) {
            self.bar.suspend(|| say::line(&words));
            self.said = Some(words);
        }
        match step {
            InstallStep::Asking => self.wait("asking Apple for the latest macOS"),
            InstallStep::Loading => self.wait("reading the restore image"),
            InstallStep::Fetching(FetchProgress::Fetching { done, total }) => {
                self.advance("fetching", BYTES, *done, total.unwrap_or(*done));
            }
            InstallStep::Fetching(FetchProgress::Checking { done, total }) => {
                self.advance("checking", BYTES, *done, *total);
            }
            InstallStep::Installing(thousandths) => {
                self.advance("installing", PARTS, u64::from(*thousandths), WHOLE);
            }
            InstallStep::Found(_) | InstallStep::Fetched(..) | InstallStep::Fetching(_) => {}
        }
    }

    fn wait(&self, what: &'static str) {
        self.advance(what, "{spinner} {msg}", 0, 0);
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    fn advance(&self, what: &'static str, template: &str, done: u64, total: u64) {
        if self.bar.message() != what {
            self.bar.reset();
            self.bar.disable_steady_tick();
            // The templates are constants of ours; if one were wrong the default style would do.
            self.bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.bar.set_message(what);
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
    }
}

const BYTES: &str = "{msg:12} [{bar:30}] {percent:>3}%  {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
const PARTS: &str = "{msg:12} [{bar:30}] {percent:>3}%  {elapsed} so far";

/// What is said of a step for good.
fn words(step: &InstallStep) -> Option<String> {
    match step {
        InstallStep::Found(image) => Some(image.clone()),
        InstallStep::Fetching(FetchProgress::Waiting) => Some("another process fetches it, and is waited for".into()),
        InstallStep::Fetching(FetchProgress::Retrying(why)) => {
            Some(format!("the connection was lost, trying again: {why}"))
        }
        InstallStep::Fetched(path, fetched) => Some(format!("{}: {}", path.display(), checked(fetched))),
        InstallStep::Asking | InstallStep::Loading | InstallStep::Installing(_) | InstallStep::Fetching(_) => None,
    }
}

fn checked(fetched: &Fetched) -> String {
    let length = size::words(fetched.length);
    match fetched.check {
        Check::Earlier => format!("{length}, fetched earlier"),
        Check::Sum(sum) => format!("{length}, its length and SHA-256 are right ({sum})"),
        Check::Length => format!("{length}, its length is right; the server says no checksum"),
        Check::Nothing => format!("{length}; the server says neither length nor checksum"),
    }
}

/// A step for programs.
fn event(step: &InstallStep) -> Value {
    match step {
        InstallStep::Asking => json!({ "event": "asking" }),
        InstallStep::Found(image) => json!({ "event": "found", "image": image }),
        InstallStep::Fetching(FetchProgress::Waiting) => json!({ "event": "waiting" }),
        InstallStep::Fetching(FetchProgress::Fetching { done, total }) => {
            json!({ "event": "fetching", "done": done, "total": total })
        }
        InstallStep::Fetching(FetchProgress::Retrying(why)) => json!({ "event": "retrying", "reason": why }),
        InstallStep::Fetching(FetchProgress::Checking { done, total }) => {
            json!({ "event": "checking", "done": done, "total": total })
        }
        InstallStep::Fetched(path, Fetched { length, check }) => {
            let sum = match check {
                Check::Sum(sum) => Some(sum.to_string()),
                Check::Earlier | Check::Length | Check::Nothing => None,
            };
            let checked = !matches!(check, Check::Nothing);
            json!({ "event": "fetched", "path": path, "length": length, "length-checked": checked, "sha256": sum })
        }
        InstallStep::Loading => json!({ "event": "loading" }),
        InstallStep::Installing(thousandths) => json!({ "event": "installing", "thousandths": thousandths }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_checked_is_said_and_what_was_not() {
        let said =
            |check| words(&InstallStep::Fetched("/c/a.ipsw".into(), Fetched { length: 1 << 30, check })).unwrap();
        assert_eq!(said(Check::Length), "/c/a.ipsw: 1.00 GiB, its length is right; the server says no checksum");
        assert!(said(Check::Nothing).ends_with("the server says neither length nor checksum"));
        let sum = vm::Sha256::of(b"a");
        assert!(said(Check::Sum(sum)).contains(&sum.to_string()));
        let fetched = Fetched { length: 3, check: Check::Sum(sum) };
        let told = event(&InstallStep::Fetched("/c/a".into(), fetched));
        assert_eq!((&told["event"], &told["sha256"]), (&json!("fetched"), &json!(sum.to_string())));
    }

    #[test]
    fn each_end_has_its_status() {
        let status = |error, signal| failed(error, signal).status;
        assert_eq!(status(InstallError::NoMac, None), Status::Host);
        assert_eq!(status(InstallError::Cancelled, Some(2)), Status::Killed(2));
        assert_eq!(status(InstallError::Problems { problems: Vec::new() }, None), Status::Usage);
        assert_eq!(status(InstallError::Failed("no".into()), Some(2)), Status::Host);
    }
}
