//! fio, and what it says.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell;

/// Runs one job with these options. Bytes that were moved, and in how many seconds.
pub(super) fn run(options: &[String]) -> Result<(f64, f64)> {
    let mut fio = Command::new("fio");
    fio.args(["--name=job", "--output-format=json", "--randrepeat=1"]).args(options);
    let said = shell::output(&mut fio)?;
    // Its engines may say something before the JSON.
    let json: Value = serde_json::from_str(&said[said.find('{').context("fio said nothing")?..])?;
    let job = &json["jobs"][0];
    let bytes: f64 = ["read", "write"].iter().filter_map(|way| job[way]["io_bytes"].as_f64()).sum();
    let time = ["read", "write"].iter().filter_map(|way| job[way]["runtime"].as_f64()).fold(0.0, f64::max);
    if bytes == 0.0 || time == 0.0 {
        bail!("fio moved nothing: {said}");
    }
    Ok((bytes, time / 1000.0))
}
