//! How long work tells that it goes on.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Is told what is being done. Called on the thread that called [`fetch`](super::fetch).
pub(crate) trait Progress {
    /// `what` is being done and is `percent` done, from 0 to 100; `None` when that cannot be known.
    fn at(&self, what: &str, percent: Option<f32>);
    /// All is done.
    fn done(&self);
}

/// A progress bar on standard error; draws nothing when that is no terminal.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar that appears with the first [`Progress::at`].
    #[must_use]
    pub(crate) fn new() -> Self {
        Self(ProgressBar::hidden())
    }
}

impl Default for Bar {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for Bar {
    fn at(&self, what: &str, percent: Option<f32>) {
        let template = if percent.is_some() { "{msg:46} [{bar:30}] {percent:>3}%" } else { "{msg:46} {spinner}" };
        // The templates are constants of ours; if one were wrong the default style would do.
        self.0.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.0.set_message(what.to_owned());
        self.0.set_length(1000);
        if self.0.is_hidden() {
            self.0.set_draw_target(ProgressDrawTarget::stderr());
        }
        match percent {
            Some(percent) => self.0.set_position((percent.clamp(0.0, 100.0) * 10.0) as u64),
            None => self.0.tick(),
        }
    }

    fn done(&self) {
        self.0.finish_and_clear();
    }
}
