//! Control transfers: a setup, perhaps data, a status, each a transfer descriptor of its own (xHCI 1.2, 4.11.2.2).

use super::ring::Trb;
use super::spec::{Completion, control, trb};
use super::transfer::{Data, Outcome};
use crate::usb::{Setup, Stall, UsbDevice};

/// Does a stage. `pending` is the control transfer that is on its way, and whether its request is done.
pub(super) fn perform(
    device: &mut dyn UsbDevice,
    pending: &mut Option<(Setup, bool)>,
    stage: &[Trb],
    data: &mut Data<'_>,
) -> Outcome {
    let wrong = Outcome::Ended(Completion::TrbError, 0);
    let Some(first) = stage.first() else { return wrong };
    let outcome = match (first.kind(), *pending) {
        (trb::SETUP, _) => {
            // The packet is in the TRB itself (6.4.1.2.1).
            if !first.has(control::IMMEDIATE) || first.status & 0x1_ffff != 8 {
                return wrong;
            }
            *pending = Some((Setup::new(first.parameter.to_le_bytes()), false));
            return Outcome::Ended(Completion::Success, 0);
        }
        (trb::DATA, Some((setup, false))) if first.has(control::IN) == setup.is_in() => {
            *pending = Some((setup, true));
            if setup.is_in() { data_in(device, setup, data) } else { data_out(device, setup, data) }
        }
        (trb::STATUS, Some((setup, done))) => {
            *pending = None;
            match done {
                true => Ok(Outcome::Ended(Completion::Success, 0)),
                false => no_data(device, setup),
            }
        }
        (trb::NO_OP, _) => return Outcome::Ended(Completion::Success, 0),
        _ => return wrong,
    };
    outcome.unwrap_or_else(|Stall| {
        *pending = None;
        Outcome::Ended(Completion::Stall, 0)
    })
}

fn data_in(device: &mut dyn UsbDevice, setup: Setup, data: &mut Data<'_>) -> Result<Outcome, Stall> {
    let room = data.len();
    let mut bytes = device.control_in(setup)?;
    bytes.truncate(usize::from(setup.length).min(room as usize));
    let moved = bytes.len() as u64;
    Ok(match data.put(&bytes) {
        None => Outcome::Ended(Completion::TrbError, 0),
        Some(()) if moved < room => Outcome::Ended(Completion::ShortPacket, moved),
        Some(()) => Outcome::Ended(Completion::Success, moved),
    })
}

fn data_out(device: &mut dyn UsbDevice, setup: Setup, data: &mut Data<'_>) -> Result<Outcome, Stall> {
    let len = data.len();
    if len > setup.length.into() {
        return Ok(Outcome::Ended(Completion::TrbError, 0));
    }
    let mut bytes = vec![0; len as usize];
    if data.get(&mut bytes).is_none() {
        return Ok(Outcome::Ended(Completion::TrbError, 0));
    }
    device.control_out(setup, &bytes)?;
    Ok(Outcome::Ended(Completion::Success, len))
}

fn no_data(device: &mut dyn UsbDevice, setup: Setup) -> Result<Outcome, Stall> {
    match setup.is_in() {
        true => drop(device.control_in(setup)?),
        false => device.control_out(setup, &[])?,
    }
    Ok(Outcome::Ended(Completion::Success, 0))
}
