//! Negotiation, from the client's side ("Fixed newstyle negotiation", "Option haggling").

use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::nbd::spec::{self, flag, info, option, rep};
use crate::nbd::stream::{self, Input, Sender};
use crate::nbd::{Credentials, Error, Socket, Uri};

/// The longest answer to an option, in bytes: two strings and some.
const MAX_ANSWER: u32 = 16 << 10;
/// How many answers an option may have.
const MAX_ANSWERS: usize = 100;
/// The largest smallest block that we take ("Block size constraints").
const MAX_MIN_BLOCK: u32 = 64 << 10;
/// Received at once, in bytes.
const INPUT: usize = 256 << 10;

/// What the server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) size: u64,
    pub(super) flags: u16,
    pub(super) min: u32,
    pub(super) preferred: u32,
    pub(super) max: u32,
    pub(super) structured: bool,
    /// The number of `base:allocation`.
    pub(super) context: Option<u32>,
}

impl Offer {
    pub(super) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    fn checked(self) -> Result<Self, Error> {
        let blocks = self.min.is_power_of_two() && self.min <= MAX_MIN_BLOCK && self.max >= self.min;
        if !self.has(flag::HAS_FLAGS) {
            return Err(Error::Protocol("an export without flags"));
        }
        if self.size > i64::MAX as u64 {
            return Err(Error::Protocol("an export of more than 2^63 bytes"));
        }
        if !blocks {
            return Err(Error::Protocol("impossible block sizes"));
        }
        let max = self.max.min(spec::MAX_PAYLOAD);
        Ok(Self { max: max - max % self.min, ..self })
    }
}

struct Negotiation<'a> {
    uri: &'a Uri,
    input: Input,
    sender: Sender,
    no_zeroes: bool,
}

/// Negotiates on a new connection.
pub(super) fn negotiate(
    socket: Arc<Socket>,
    uri: &Uri,
    tls: Option<&Credentials>,
    limit: Duration,
) -> Result<(Offer, Input, Sender), Error> {
    let deadline = Instant::now() + limit;
    socket.tune();
    socket.set_send_timeout(Some(limit)).map_err(Error::io("negotiate"))?;
    let (receiver, sender) = stream::plain(socket.clone());
    let mut negotiation = Negotiation { uri, input: Input::new(receiver, INPUT), sender, no_zeroes: false };
    negotiation.input.set_deadline(Some(deadline)).map_err(Error::io("negotiate"))?;
    negotiation.hello()?;
    if let Some(tls) = tls {
        negotiation.start_tls(tls, &socket, deadline)?;
    }
    let structured = negotiation.structured()?;
    let context = if structured { negotiation.context()? } else { None };
    let offer = negotiation.go(structured, context)?.checked()?;
    let Negotiation { mut input, sender, .. } = negotiation;
    input.set_deadline(None).map_err(Error::io("negotiate"))?;
    Ok((offer, input, sender))
}

impl Negotiation<'_> {
    fn hello(&mut self) -> Result<(), Error> {
        let what = "negotiate";
        if self.input.u64().map_err(Error::io(what))? != spec::INIT_MAGIC {
            return Err(Error::Protocol("this is no NBD server"));
        }
        match self.input.u64().map_err(Error::io(what))? {
            spec::OPTION_MAGIC => {}
            spec::OLDSTYLE_MAGIC => return Err(Error::Oldstyle),
            _ => return Err(Error::Protocol("this is no NBD server")),
        }
        let flags = self.input.u16().map_err(Error::io(what))?;
        if flags & spec::FIXED_NEWSTYLE == 0 {
            return Err(Error::Oldstyle);
        }
        let ours = flags & (spec::FIXED_NEWSTYLE | spec::NO_ZEROES);
        self.no_zeroes = ours & spec::NO_ZEROES != 0;
        self.send(&u32::from(ours).to_be_bytes())
    }

    fn start_tls(&mut self, tls: &Credentials, socket: &Arc<Socket>, deadline: Instant) -> Result<(), Error> {
        self.ask(option::STARTTLS, &[])?;
        match self.answer(option::STARTTLS)? {
            (rep::ACK, _) => {}
            (_, words) => {
                let words = text(&words);
                return Err(Error::Tls(format!("the server has none ({words}): use `nbd` where it is not needed")));
            }
        }
        if !self.input.buffered().is_empty() {
            return Err(Error::Protocol("data before TLS"));
        }
        let begun = tls.begin()?;
        let (receiver, sender) = stream::encrypted(socket.clone(), begun, deadline).map_err(Error::io("start TLS"))?;
        (self.input, self.sender) = (Input::new(receiver, INPUT), sender);
        self.input.set_deadline(Some(deadline)).map_err(Error::io("start TLS"))
    }

    fn structured(&mut self) -> Result<bool, Error> {
        self.ask(option::STRUCTURED_REPLY, &[])?;
        match self.answer(option::STRUCTURED_REPLY)? {
            (rep::ACK, _) => Ok(true),
            (rep::ERR_TLS_REQD, _) => Err(Error::Tls("the server wants it: write `nbds` for `nbd`".to_owned())),
            (kind, _) if kind & rep::ERROR != 0 => Ok(false),
            _ => Err(Error::Protocol("a strange answer to an option")),
        }
    }

    fn context(&mut self) -> Result<Option<u32>, Error> {
        let mut data = self.name();
        data.extend(1u32.to_be_bytes());
        data.extend((spec::BASE_ALLOCATION.len() as u32).to_be_bytes());
        data.extend(spec::BASE_ALLOCATION.bytes());
        self.ask(option::SET_META_CONTEXT, &data)?;
        let mut context = None;
        for _ in 0..MAX_ANSWERS {
            match self.answer(option::SET_META_CONTEXT)? {
                (rep::ACK, _) => return Ok(context),
                (rep::META_CONTEXT, data) => match data.split_first_chunk() {
                    Some((id, name)) if name == spec::BASE_ALLOCATION.as_bytes() => {
                        context = Some(u32::from_be_bytes(*id));
                    }
                    _ => return Err(Error::Protocol("a meta context that was not asked for")),
                },
                (kind, _) if kind & rep::ERROR != 0 => return Ok(None),
                _ => return Err(Error::Protocol("a strange answer to an option")),
            }
        }
        Err(Error::Protocol("no end of answers to an option"))
    }

    fn go(&mut self, structured: bool, context: Option<u32>) -> Result<Offer, Error> {
        let mut data = self.name();
        data.extend(1u16.to_be_bytes());
        data.extend(info::BLOCK_SIZE.to_be_bytes());
        self.ask(option::GO, &data)?;
        let mut export = None;
        let mut sizes = [1, 4096, spec::MAX_PAYLOAD];
        for _ in 0..MAX_ANSWERS {
            match self.answer(option::GO)? {
                (rep::ACK, _) => {
                    let (size, flags) = export.ok_or(Error::Protocol("an export without a size"))?;
                    let [min, preferred, max] = sizes;
                    return Ok(Offer { size, flags, min, preferred, max, structured, context });
                }
                (rep::INFO, data) => {
                    match (data.split_first_chunk().map(|(k, r)| (u16::from_be_bytes(*k), r)), data.len()) {
                        (Some((info::EXPORT, rest)), 12) => export = Some(size_and_flags(rest)),
                        (Some((info::BLOCK_SIZE, rest)), 14) => {
                            sizes =
                                std::array::from_fn(|i| u32::from_be_bytes(std::array::from_fn(|b| rest[4 * i + b])));
                        }
                        (Some((info::EXPORT | info::BLOCK_SIZE, _)) | None, _) => {
                            return Err(Error::Protocol("malformed information about an export"));
                        }
                        _ => {}
                    }
                }
                (rep::ERR_UNSUP, _) => return self.export_name(structured, context),
                (kind, words) if kind & rep::ERROR != 0 => return Err(self.refused(kind, &words)),
                _ => return Err(Error::Protocol("a strange answer to an option")),
            }
        }
        Err(Error::Protocol("no end of answers to an option"))
    }

    /// For servers from before `NBD_OPT_GO`. They refuse by closing the connection.
    fn export_name(&mut self, structured: bool, context: Option<u32>) -> Result<Offer, Error> {
        self.ask(option::EXPORT_NAME, self.uri.export.as_bytes())?;
        let answer: [u8; 10] = self.input.array().map_err(|_| self.refused(rep::ERR_UNKNOWN, b""))?;
        if !self.no_zeroes {
            self.input.skip(124).map_err(Error::io("negotiate"))?;
        }
        let (size, flags) = size_and_flags(&answer);
        Ok(Offer { size, flags, min: 1, preferred: 4096, max: spec::MAX_PAYLOAD, structured, context })
    }

    fn name(&self) -> Vec<u8> {
        let name = self.uri.export.as_bytes();
        [&(name.len() as u32).to_be_bytes()[..], name].concat()
    }

    fn refused(&self, kind: u32, words: &[u8]) -> Error {
        let what = match kind {
            rep::ERR_UNKNOWN => "it has none of this name",
            rep::ERR_TLS_REQD => "it wants TLS: write `nbds` for `nbd`",
            rep::ERR_POLICY => "its policy forbids it",
            rep::ERR_SHUTDOWN => "it shuts down",
            rep::ERR_BLOCK_SIZE_REQD => "its block sizes are unusual",
            _ => "it gives no reason that we know",
        };
        let words = if words.is_empty() { String::new() } else { format!(" ({})", text(words)) };
        Error::Refused { export: self.uri.export.clone(), what: format!("{what}{words}") }
    }

    fn ask(&mut self, option: u32, data: &[u8]) -> Result<(), Error> {
        let mut bytes = spec::OPTION_MAGIC.to_be_bytes().to_vec();
        bytes.extend(option.to_be_bytes());
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend(data);
        self.send(&bytes)
    }

    fn answer(&mut self, option: u32) -> Result<(u32, Vec<u8>), Error> {
        let what = "negotiate";
        if self.input.u64().map_err(Error::io(what))? != spec::OPTION_REPLY_MAGIC {
            return Err(Error::Protocol("an answer without its magic number"));
        }
        if self.input.u32().map_err(Error::io(what))? != option {
            return Err(Error::Protocol("an answer to another option"));
        }
        let kind = self.input.u32().map_err(Error::io(what))?;
        let len = self.input.u32().map_err(Error::io(what))?;
        if len > MAX_ANSWER {
            return Err(Error::Protocol("an answer that is far too long"));
        }
        Ok((kind, self.input.bytes(len as usize).map_err(Error::io(what))?))
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.sender.send(&mut [IoSlice::new(bytes)]).map_err(Error::io("negotiate"))
    }
}

/// From ten bytes.
fn size_and_flags(bytes: &[u8]) -> (u64, u16) {
    (u64::from_be_bytes(std::array::from_fn(|i| bytes[i])), u16::from_be_bytes([bytes[8], bytes[9]]))
}

/// The server's words, fit to be shown.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
    text.chars().filter(|c| !c.is_control()).collect()
}
