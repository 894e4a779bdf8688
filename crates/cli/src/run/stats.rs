//! What the engine counted, at the end.

use serde_json::{Map, json};
use vm::VirtualMachine;

use crate::say;

/// Tells the counters of each CPU of `vm`, a line each, or as an event of each CPU.
pub(super) fn tell(vm: &VirtualMachine, json: bool) {
    for (cpu, counters) in vm.counters().iter().enumerate() {
        if json {
            let counters: Map<_, _> =
                counters.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
            say::line(&json!({ "event": "counters", "cpu": cpu, "counters": counters }).to_string());
        } else {
            counters.iter().for_each(|(name, value)| say::line(&format!("cpu{cpu} {name} {value}")));
        }
    }
}
