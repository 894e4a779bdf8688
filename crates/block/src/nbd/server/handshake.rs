//! Negotiation, from the server's side ("Fixed newstyle negotiation", "Option haggling").

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Export, ServerOptions};
use crate::nbd::Error;
use crate::nbd::spec::{self, flag, info, option, rep};
use crate::nbd::stream::{self, Input, Sender, Socket};

/// How long a client may negotiate.
const LIMIT: Duration = Duration::from_secs(30);
/// How many options it may send.
const MAX_OPTIONS: usize = 1000;
/// The longest data of an option, in bytes: two strings and some.
const MAX_OPTION: u32 = 16 << 10;
/// What a client may send of an option that is too long, so that it can be told so, in bytes.
const MAX_REFUSED: u32 = 1 << 20;
/// Received at once, in bytes. A write of up to this is done from here.
const INPUT: usize = 256 << 10;
/// The number that stands for `base:allocation` in replies.
pub(super) const CONTEXT_ID: u32 = 1;

/// A connection that comes to the transmission phase.
pub(super) struct Session<'a> {
    pub(super) agreed: Agreed<'a>,
    pub(super) input: Input,
    pub(super) sender: Sender,
}

/// What was agreed on.
#[derive(Clone, Copy)]
pub(super) struct Agreed<'a> {
    pub(super) export: &'a Export,
    pub(super) size: u64,
    pub(super) flags: u16,
    pub(super) structured: bool,
    pub(super) base_allocation: bool,
}

struct Negotiation<'a> {
    exports: &'a [Export],
    options: &'a ServerOptions,
    input: Input,
    sender: Sender,
    no_zeroes: bool,
    encrypted: bool,
    structured: bool,
    /// The export for which block status was asked.
    context: Option<usize>,
}

/// What an option leads to.
enum Next {
    Option,
    Transmission(usize),
    End,
}

/// Negotiates. `None`: the client has left as it may.
pub(super) fn negotiate<'a>(
    exports: &'a [Export],
    options: &'a ServerOptions,
    socket: &Arc<Socket>,
) -> Result<Option<Session<'a>>, Error> {
    let what = "negotiate";
    socket.set_send_timeout(Some(LIMIT)).map_err(Error::io(what))?;
    let deadline = Instant::now() + LIMIT;
    let (receiver, sender) = stream::plain(socket.clone());
    let mut input = Input::new(receiver, INPUT);
    input.set_deadline(Some(deadline)).map_err(Error::io(what))?;
    let mut negotiation = Negotiation {
        exports,
        options,
        input,
        sender,
        no_zeroes: false,
        encrypted: false,
        structured: false,
        context: None,
    };
    let Some(export) = negotiation.haggle(socket, deadline)? else { return Ok(None) };
    socket.set_send_timeout(None).map_err(Error::io(what))?;
    let Negotiation { mut input, sender, structured, context, .. } = negotiation;
    input.set_deadline(None).map_err(Error::io(what))?;
    let agreed = Agreed {
        export: &exports[export],
        size: exports[export].disk.size(),
        flags: flags(&exports[export], options, structured),
        structured,
        base_allocation: context == Some(export),
    };
    Ok(Some(Session { agreed, input, sender }))
}

/// What an export can do.
fn flags(export: &Export, options: &ServerOptions, structured: bool) -> u16 {
    let mut flags = flag::HAS_FLAGS | flag::SEND_FLUSH | flag::SEND_FUA | flag::SEND_CACHE;
    if export.read_only || export.disk.read_only() {
        flags |= flag::READ_ONLY;
    } else {
        flags |= flag::SEND_TRIM | flag::SEND_WRITE_ZEROES | flag::SEND_FAST_ZERO;
    }
    if structured {
        flags |= flag::SEND_DF;
    }
    // A flush of a disk is for all that was written to it, whoever wrote it.
    if options.max_connections > 1 {
        flags |= flag::CAN_MULTI_CONN;
    }
    flags
}

impl Negotiation<'_> {
    fn haggle(&mut self, socket: &Arc<Socket>, deadline: Instant) -> Result<Option<usize>, Error> {
        let what = "negotiate";
        let mut hello = Vec::with_capacity(18);
        hello.extend(spec::INIT_MAGIC.to_be_bytes());
        hello.extend(spec::OPTION_MAGIC.to_be_bytes());
        hello.extend((spec::FIXED_NEWSTYLE | spec::NO_ZEROES).to_be_bytes());
        self.send(&hello)?;
        let flags = self.input.u32().map_err(Error::io(what))?;
        if flags & !u32::from(spec::FIXED_NEWSTYLE | spec::NO_ZEROES) != 0 {
            return Err(Error::Protocol("unknown flags of the client"));
        }
        self.no_zeroes = flags & u32::from(spec::NO_ZEROES) != 0;
        for _ in 0..MAX_OPTIONS {
            if self.input.u64().map_err(Error::io(what))? != spec::OPTION_MAGIC {
                return Err(Error::Protocol("an option without its magic number"));
            }
            let option = self.input.u32().map_err(Error::io(what))?;
            let len = self.input.u32().map_err(Error::io(what))?;
            if len > MAX_OPTION {
                if len > MAX_REFUSED || option == option::EXPORT_NAME {
                    return Err(Error::Protocol("an option that is far too long"));
                }
                self.input.skip(len.into()).map_err(Error::io(what))?;
                self.reply(option, rep::ERR_TOO_BIG, &[])?;
                continue;
            }
            let data = self.input.bytes(len as usize).map_err(Error::io(what))?;
            if option == option::STARTTLS {
                self.start_tls(&data, socket, deadline)?;
                continue;
            }
            match self.option(option, &data)? {
                Next::Option => {}
                Next::Transmission(export) => return Ok(Some(export)),
                Next::End => return Ok(None),
            }
        }
        Err(Error::Protocol("no end of options"))
    }

    fn option(&mut self, option: u32, data: &[u8]) -> Result<Next, Error> {
        if option == option::ABORT {
            // The client may have left without waiting for it.
            let _ = self.reply(option, rep::ACK, &[]);
            return Ok(Next::End);
        }
        if option == option::EXPORT_NAME {
            return self.export_name(data);
        }
        if self.options.tls.is_some() && !self.encrypted {
            self.refuse(option, rep::ERR_TLS_REQD, "this server wants TLS")?;
            return Ok(Next::Option);
        }
        match option {
            option::LIST => self.list(data)?,
            option::INFO | option::GO => return self.info(option, data),
            option::STRUCTURED_REPLY if data.is_empty() => {
                self.structured = true;
                self.reply(option, rep::ACK, &[])?;
            }
            option::STRUCTURED_REPLY => self.refuse(option, rep::ERR_INVALID, "this option has no data")?,
            option::LIST_META_CONTEXT | option::SET_META_CONTEXT => self.meta_context(option, data)?,
            _ => self.refuse(option, rep::ERR_UNSUP, "this server does not know the option")?,
        }
        Ok(Next::Option)
    }

    fn start_tls(&mut self, data: &[u8], socket: &Arc<Socket>, deadline: Instant) -> Result<(), Error> {
        let option = option::STARTTLS;
        let Some(tls) = &self.options.tls else {
            return self.refuse(option, rep::ERR_POLICY, "this server has no TLS");
        };
        if !data.is_empty() || self.encrypted {
            return self.refuse(option, rep::ERR_INVALID, "TLS is begun once, without data");
        }
        // What was sent before the answer would otherwise be taken for sent under encryption.
        if !self.input.buffered().is_empty() {
            return Err(Error::Protocol("data behind the request for TLS"));
        }
        let tls = tls.begin()?;
        self.reply(option, rep::ACK, &[])?;
        let (receiver, sender) = stream::encrypted(socket.clone(), tls, deadline).map_err(Error::io("start TLS"))?;
        self.input = Input::new(receiver, INPUT);
        self.input.set_deadline(Some(deadline)).map_err(Error::io("start TLS"))?;
        self.sender = sender;
        // Nothing that was agreed on before counts ("NBD_OPT_STARTTLS").
        (self.encrypted, self.structured, self.context) = (true, false, None);
        Ok(())
    }

    fn export_name(&mut self, data: &[u8]) -> Result<Next, Error> {
        if self.options.tls.is_some() && !self.encrypted {
            return Err(Error::Protocol("a client without TLS"));
        }
        // This option has no way to say no.
        let export = self.find(data).ok_or(Error::Protocol("a client that wants an export which is not there"))?;
        let found = &self.exports[export];
        let mut reply = found.disk.size().to_be_bytes().to_vec();
        reply.extend(flags(found, self.options, self.structured).to_be_bytes());
        if !self.no_zeroes {
            reply.extend([0; 124]);
        }
        self.send(&reply)?;
        Ok(Next::Transmission(export))
    }

    fn list(&mut self, data: &[u8]) -> Result<(), Error> {
        if !data.is_empty() {
            return self.refuse(option::LIST, rep::ERR_INVALID, "this option has no data");
        }
        for export in self.exports {
            let mut server = (export.name.len() as u32).to_be_bytes().to_vec();
            server.extend(export.name.bytes());
            server.extend(export.description.bytes());
            self.reply(option::LIST, rep::SERVER, &server)?;
        }
        self.reply(option::LIST, rep::ACK, &[])
    }

    fn info(&mut self, option: u32, data: &[u8]) -> Result<Next, Error> {
        let Some((name, wanted)) = parse_info(data) else {
            self.refuse(option, rep::ERR_INVALID, "the option is malformed")?;
            return Ok(Next::Option);
        };
        let Some(export) = self.find(name) else {
            self.refuse(option, rep::ERR_UNKNOWN, "there is no such export")?;
            return Ok(Next::Option);
        };
        let found = &self.exports[export];
        let mut information = info::EXPORT.to_be_bytes().to_vec();
        information.extend(found.disk.size().to_be_bytes());
        information.extend(flags(found, self.options, self.structured).to_be_bytes());
        self.reply(option, rep::INFO, &information)?;
        let text = |kind: u16, text: &str| [&kind.to_be_bytes()[..], text.as_bytes()].concat();
        if wanted.contains(&info::NAME) {
            self.reply(option, rep::INFO, &text(info::NAME, &found.name))?;
        }
        if wanted.contains(&info::DESCRIPTION) && !found.description.is_empty() {
            self.reply(option, rep::INFO, &text(info::DESCRIPTION, &found.description))?;
        }
        if wanted.contains(&info::BLOCK_SIZE) {
            let preferred = found.disk.geometry().physical_block.clamp(4096, spec::MAX_PAYLOAD);
            let mut sizes = info::BLOCK_SIZE.to_be_bytes().to_vec();
            sizes.extend([1, preferred, spec::MAX_PAYLOAD].into_iter().flat_map(u32::to_be_bytes));
            self.reply(option, rep::INFO, &sizes)?;
        }
        self.reply(option, rep::ACK, &[])?;
        Ok(if option == option::GO { Next::Transmission(export) } else { Next::Option })
    }

    fn meta_context(&mut self, option: u32, data: &[u8]) -> Result<(), Error> {
        let set = option == option::SET_META_CONTEXT;
        if !self.structured {
            return self.refuse(option, rep::ERR_INVALID, "structured replies have to be agreed on first");
        }
        if set {
            self.context = None;
        }
        let Some((name, queries)) = parse_queries(data) else {
            return self.refuse(option, rep::ERR_INVALID, "the option is malformed");
        };
        let Some(export) = self.find(name) else {
            return self.refuse(option, rep::ERR_UNKNOWN, "there is no such export");
        };
        let ours = spec::BASE_ALLOCATION.as_bytes();
        let asked = match set {
            true => queries.contains(&ours),
            false => queries.is_empty() || queries.iter().any(|q| *q == ours || *q == b"base:"),
        };
        if asked {
            let id = if set { CONTEXT_ID } else { 0 };
            self.reply(option, rep::META_CONTEXT, &[&id.to_be_bytes()[..], ours].concat())?;
        }
        if set && asked {
            self.context = Some(export);
        }
        self.reply(option, rep::ACK, &[])
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        let found = self.exports.iter().position(|e| e.name.as_bytes() == name);
        found.or((name.is_empty() && self.exports.len() == 1).then_some(0))
    }

    fn refuse(&mut self, option: u32, kind: u32, why: &str) -> Result<(), Error> {
        self.reply(option, kind, why.as_bytes())
    }

    fn reply(&mut self, option: u32, kind: u32, data: &[u8]) -> Result<(), Error> {
        let mut reply = Vec::with_capacity(20 + data.len());
        reply.extend(spec::OPTION_REPLY_MAGIC.to_be_bytes());
        reply.extend([option, kind, data.len() as u32].into_iter().flat_map(u32::to_be_bytes));
        reply.extend(data);
        self.send(&reply)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let sent: io::Result<()> = self.sender.send(&mut [IoSlice::new(bytes)]);
        sent.map_err(Error::io("negotiate"))
    }
}

/// A string with its length before it, and the rest.
fn string(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = data.split_first_chunk()?;
    let len = u32::from_be_bytes(*len) as usize;
    (len <= spec::MAX_STRING).then(|| rest.split_at_checked(len))?
}

/// The name and the kinds of information that `NBD_OPT_INFO` and `NBD_OPT_GO` ask for.
fn parse_info(data: &[u8]) -> Option<(&[u8], Vec<u16>)> {
    let (name, rest) = string(data)?;
    let (count, rest) = rest.split_first_chunk()?;
    let (kinds, rest) = rest.as_chunks::<2>();
    let whole = kinds.len() == usize::from(u16::from_be_bytes(*count)) && rest.is_empty();
    whole.then(|| (name, kinds.iter().map(|kind| u16::from_be_bytes(*kind)).collect()))
}

/// The name and the queries of `NBD_OPT_LIST_META_CONTEXT` and `NBD_OPT_SET_META_CONTEXT`.
fn parse_queries(data: &[u8]) -> Option<(&[u8], Vec<&[u8]>)> {
    let (name, rest) = string(data)?;
    let (count, mut rest) = rest.split_first_chunk()?;
    let mut queries = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (query, after) = string(rest)?;
        queries.push(query);
        rest = after;
    }
    rest.is_empty().then_some((name, queries))
}
