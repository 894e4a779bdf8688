//! What is done to a machine while it runs: `russet pause`, `resume`, `suspend`, `balloon`, `display`.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueHint};
use vm::MachineName;

use crate::control::{Answer, Request, ask};
use crate::disk::size;
use crate::failure::{Failure, Status};
use crate::machine;

/// How long a machine that is suspended may take to end.
const END: Duration = Duration::from_secs(60);
/// The balloon counts in these.
const MIB: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(crate) struct RunningArgs {
    /// The machine's name, or its control socket as given to `russet run --control`.
    #[arg(value_name = "NAME|SOCKET", value_hint = ValueHint::FilePath)]
    machine: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct SuspendArgs {
    /// The machine.
    name: MachineName,
}

#[derive(Debug, Args)]
pub(crate) struct BalloonArgs {
    #[command(flatten)]
    machine: RunningArgs,

    /// The memory that it is to do with, such as 512M; all that it has gives back what was taken.
    #[arg(value_parser = size::parse)]
    size: u64,
}

#[derive(Debug, Args)]
pub(crate) struct DisplayArgs {
    #[command(flatten)]
    machine: RunningArgs,

    /// Pixels, such as 1920x1080.
    #[arg(value_name = "WIDTHxHEIGHT")]
    size: DisplaySize,
}

/// The size of a display, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DisplaySize {
    width: u32,
    height: u32,
}

impl FromStr for DisplaySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pixels = |text: &str| text.parse().ok().filter(|pixels| (1..=16384).contains(pixels));
        let size = text.split_once('x').and_then(|(width, height)| Some((pixels(width)?, pixels(height)?)));
        let size = size.map(|(width, height)| Self { width, height });
        size.ok_or_else(|| format!("`{text}` is no size of a display: write WIDTHxHEIGHT in pixels, such as 1920x1080"))
    }
}

pub(crate) fn pause(args: &RunningArgs) -> Result<(), Failure> {
    tell(&args.machine, &Request::Pause {})
}

pub(crate) fn resume(args: &RunningArgs) -> Result<(), Failure> {
    tell(&args.machine, &Request::Resume {})
}

pub(crate) fn suspend(args: &SuspendArgs) -> Result<(), Failure> {
    let bundle = machine::open(&args.name)?;
    tell(Path::new(args.name.as_str()), &Request::Suspend {})?;
    match machine::ends_within(&bundle, END) {
        true => Ok(()),
        false => Err(Failure::new(Status::Other, format!("{} is suspended, but its process has not ended", args.name))),
    }
}

pub(crate) fn balloon(args: &BalloonArgs) -> Result<(), Failure> {
    if args.size < MIB {
        return Err(Failure::new(Status::Usage, "a guest needs some memory: give 1M or more"));
    }
    tell(&args.machine.machine, &Request::Balloon { mib: args.size / MIB })
}

pub(crate) fn display(args: &DisplayArgs) -> Result<(), Failure> {
    let DisplaySize { width, height } = args.size;
    tell(&args.machine.machine, &Request::Display { width, height })
}

fn tell(machine: &Path, request: &Request) -> Result<(), Failure> {
    match ask(machine, request)? {
        Answer::Done {} => Ok(()),
        other => Err(Failure::new(Status::Other, format!("the machine's answer is not to what was asked: {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_have_sizes_in_pixels() {
        assert_eq!("1920x1080".parse(), Ok(DisplaySize { width: 1920, height: 1080 }));
        for wrong in ["", "x", "1920", "1920x", "0x1", "-1x5", "1x99999", "1x2x3", "1 x 2"] {
            assert!(wrong.parse::<DisplaySize>().unwrap_err().contains("WIDTHxHEIGHT"), "{wrong:?}");
        }
    }
}
