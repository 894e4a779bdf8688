//! `russet stop`.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use vm::{Bundle, MachineName};

use super::open;
use crate::control::{Request, ask};
use crate::failure::{Failure, Status};

/// How often a machine that is to end is looked at.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// The machine.
    name: MachineName,

    /// Pull the plug: the guest loses what it has not written.
    #[arg(long, short)]
    force: bool,

    /// Seconds that it has to end. After them it runs on, and the exit status is 1.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

pub(crate) fn execute(args: &StopArgs) -> Result<(), Failure> {
    let bundle = open(&args.name)?;
    ask(Path::new(args.name.as_str()), &Request::Stop { force: args.force })?;
    match ends_within(&bundle, Duration::from_secs(args.timeout)) {
        true => Ok(()),
        false => {
            let what = format!("{} still runs: wait longer with --timeout, or add --force", args.name);
            Err(Failure::new(Status::Other, what))
        }
    }
}

/// Waits until nobody runs the machine; `false` when somebody still does after that time.
pub(crate) fn ends_within(bundle: &Bundle, time: Duration) -> bool {
    let begun = Instant::now();
    while bundle.holder().is_some() {
        if begun.elapsed() >= time {
            return false;
        }
        thread::sleep(LOOK);
    }
    true
}
