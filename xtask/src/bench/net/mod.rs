//! User-mode networks by themselves, driven from the guest's side without a CPU engine: ours through the rings of its
//! card, libslirp through qemu's and passt through its own stream socket. The same TCP/IP is the guest of all.

mod card;
mod guest;
mod peers;
mod rings;
mod stream;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};

use self::peers::Peer;
use self::work::Work;
use crate::shell;

/// How to measure networks.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Turns of each network
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How long each work goes on, in milliseconds
    #[arg(long, default_value_t = 2000)]
    time: u64,
    /// Only these networks: russet, slirp, passt
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Write the figures as JSON, too
    #[arg(long)]
    json: bool,
}

/// The figures of a network's work, one for each turn.
type Figures = BTreeMap<(&'static str, &'static str), Vec<f64>>;

pub(crate) fn run(options: &Options) -> Result<()> {
    let time = Duration::from_millis(options.time);
    let mut figures = Figures::new();
    let wanted = |peer: &Peer| options.only.is_empty() || options.only.iter().any(|name| name == peer.name());
    for turn in 1..=options.runs {
        for peer in Peer::ALL.into_iter().filter(wanted) {
            shell::say(&format!("turn {turn} of {}: {}", options.runs, peer.name()));
            for work in Work::ALL {
                let figure = work.measure(peer, time).with_context(|| format!("{} on {}", work.name(), peer.name()))?;
                figures.entry((work.name(), peer.name())).or_default().push(figure);
            }
        }
    }
    report(&mut figures, options.json);
    Ok(())
}

/// Says the medians, and the ratio of ours to each.
fn report(figures: &mut Figures, json: bool) {
    let medians: BTreeMap<_, _> = figures.iter_mut().map(|(key, list)| (*key, median(list))).collect();
    for work in Work::ALL {
        let ours = medians.get(&(work.name(), Peer::Russet.name()));
        for peer in Peer::ALL {
            let Some(theirs) = medians.get(&(work.name(), peer.name())) else { continue };
            let ratio =
                ours.filter(|_| peer != Peer::Russet).map(|ours| format!("  ours is {:.2} times", ours / theirs));
            let name = format!("{} ({})", work.name(), peer.name());
            shell::say(&format!("{name:<28} {theirs:>12.0} {}{}", work.unit(), ratio.unwrap_or_default()));
        }
    }
    if json {
        let flat = medians.iter().map(|((work, peer), figure)| (format!("{work}/{peer}"), serde_json::json!(figure)));
        shell::say(&serde_json::Value::Object(flat.collect()).to_string());
    }
}

fn median(list: &mut [f64]) -> f64 {
    list.sort_by(f64::total_cmp);
    list[list.len() / 2]
}
