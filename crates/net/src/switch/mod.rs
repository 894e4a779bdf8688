//! A shared network: a learning switch which several machines are plugged into, also those of other processes.
//!
//! The first machine on a network opens the switch, in its own process; the others join it by a unix socket. When the
//! machine with the switch ends, one of the others opens it again, and all of them join that: a network lasts as long as
//! anyone is on it. What is under way at that moment is lost, as when a real switch is restarted.

mod hub;
mod shared;
mod table;
mod uplink;

pub use hub::{Hub, MAX_PORTS};
pub use shared::{Name, NameError, Uplink, default_folder, join};
pub use table::Table;
