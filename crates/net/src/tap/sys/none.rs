//! A system without taps.

use std::os::fd::OwnedFd;

use crate::tap::TapError;
use crate::wire::Pump;

pub(in crate::tap) fn open(_: &str) -> Result<Pump, TapError> {
    Err(TapError::Unsupported)
}

pub(in crate::tap) fn opened(_: OwnedFd) -> Result<Pump, TapError> {
    Err(TapError::Unsupported)
}

pub(in crate::tap) fn bridged(_: &str) -> Result<Pump, TapError> {
    Err(TapError::Unsupported)
}
