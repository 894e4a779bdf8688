//! The transmission phase of a connection, on its thread.

use std::io;
use std::thread::{self, Scope};

use super::execute::{self, Medium};
use super::handshake::{Agreed, Session};
use super::outbox::Outbox;
use super::request::Request;
use super::vigil::Vigil;
use super::workers::{Job, Workers};
use crate::nbd::Error;
use crate::nbd::spec::{self, CHUNK_LEN, SIMPLE_REPLY_LEN, chunk, cmd, cmd_flag};
use crate::nbd::stream::Input;

/// Replies are sent when so many bytes are there, so that the client has work while we go on.
const SEND_AT: usize = 32 << 10;
/// The longest piece of a read or write that is moved at once: it stays in a processor's cache on its way.
const PIECE: usize = 128 << 10;
/// Room for replies, in bytes: what may wait, and one more reply of a piece.
const OUT: usize = SEND_AT + PIECE + CHUNK_LEN + 8;

/// What is done on the connection's own thread.
struct Transmission<'a, 'scope> {
    agreed: Agreed<'a>,
    input: Input,
    medium: &'scope Medium<'scope>,
    outbox: &'scope Outbox,
    workers: &'scope Workers<'scope>,
    out: Out,
    vigil: Vigil,
}

/// Replies that are not sent yet, `buf[..len]`, and room for more, into which reads go straight.
struct Out {
    buf: Vec<u8>,
    len: usize,
}

/// Serves requests until the client leaves.
pub(super) fn serve(session: Session<'_>) -> Result<(), Error> {
    let Session { agreed, input, sender } = session;
    let medium = Medium::new(&*agreed.export.disk);
    let outbox = Outbox::new(input.receiver().socket().clone(), sender);
    let workers = Workers::new(&medium, agreed.structured, &outbox);
    thread::scope(|scope| {
        let out = Out { buf: vec![0; OUT], len: 0 };
        let (medium, outbox, workers, vigil) = (&medium, &outbox, &workers, Vigil::default());
        let mut transmission = Transmission { agreed, input, medium, outbox, workers, out, vigil };
        let done = transmission.serve(scope);
        workers.end();
        let sent = transmission.send();
        outbox.close();
        done.and(sent.map_err(Error::io("send")))
    })
}

impl<'scope> Transmission<'_, 'scope> {
    fn serve(&mut self, scope: &'scope Scope<'scope, '_>) -> Result<(), Error> {
        loop {
            if self.input.buffered().len() < spec::REQUEST_LEN {
                self.send().map_err(Error::io("send"))?;
                self.vigil.keep(self.input.receiver().socket());
                match self.input.fill().map_err(Error::io("receive"))? {
                    0 if self.input.buffered().is_empty() => return Ok(()),
                    0 => return Err(Error::io("receive")(io::ErrorKind::UnexpectedEof.into())),
                    _ => continue,
                }
            }
            let request = Request::parse(&self.input.array().map_err(Error::io("receive"))?)?;
            if request.kind == cmd::DISC {
                return Ok(());
            }
            if request.payload() > spec::MAX_PAYLOAD {
                return Err(Error::Protocol("a write that is longer than a client may send"));
            }
            self.request(request, scope).map_err(Error::io("serve"))?;
        }
    }

    fn request(&mut self, request: Request, scope: &'scope Scope<'scope, '_>) -> io::Result<()> {
        if let Err(error) = request.check(&self.agreed) {
            self.input.skip(request.payload().into())?;
            return self.answer(&request, Err(error));
        }
        // A thread of its own is for requests that others would have to wait for.
        let alone = self.input.buffered().len() <= request.payload() as usize;
        if self.medium.is_slow(&request) && !(alone && self.workers.is_idle()) {
            self.send()?;
            self.workers.wait_for_room(&request);
            let payload = self.input.bytes(request.payload() as usize)?;
            self.workers.give(scope, Job { request, payload });
            return Ok(());
        }
        match request.kind {
            cmd::READ => self.read(&request),
            cmd::WRITE => self.write(&request),
            cmd::BLOCK_STATUS => match self.medium.block_status(&request) {
                Ok(reply) => self.put(&reply),
                Err(error) => self.answer(&request, Err(error)),
            },
            _ => {
                let done = self.medium.plain(&request);
                self.answer(&request, done)
            }
        }
    }

    fn read(&mut self, request: &Request) -> io::Result<()> {
        match self.agreed.structured {
            true if !request.has(cmd_flag::DF) => self.read_in_chunks(request),
            structured => self.read_in_one(request, structured),
        }
    }

    /// A chunk for each piece; an error can still be told after the first ones.
    fn read_in_chunks(&mut self, request: &Request) -> io::Result<()> {
        let mut done = 0;
        loop {
            let len = PIECE.min(request.len as usize - done);
            let last = done + len == request.len as usize;
            let offset = request.offset + done as u64;
            let head = CHUNK_LEN + 8;
            self.reserve(head + len)?;
            let room = self.out.room(head + len);
            if let Err(error) = self.medium.read(offset, &mut room[head..]) {
                return self.answer(request, Err(error));
            }
            let flags = if last { chunk::DONE } else { 0 };
            // An empty read has no data to put in a chunk.
            let kind = if len == 0 { chunk::NONE } else { chunk::OFFSET_DATA };
            let head = if len == 0 { CHUNK_LEN } else { head };
            let payload = (head - CHUNK_LEN + len) as u32;
            room[..CHUNK_LEN].copy_from_slice(&execute::chunk_header(request.cookie, flags, kind, payload));
            if len > 0 {
                room[CHUNK_LEN..head].copy_from_slice(&offset.to_be_bytes());
            }
            self.out.len += head + len;
            self.send_enough()?;
            done += len;
            if last {
                return Ok(());
            }
        }
    }

    /// All data behind one header, which has to know whether it was read.
    fn read_in_one(&mut self, request: &Request, structured: bool) -> io::Result<()> {
        let len = request.len as usize;
        let mut head = [0; CHUNK_LEN + 8];
        let head = if structured && len > 0 {
            let payload = 8 + request.len;
            let header = execute::chunk_header(request.cookie, chunk::DONE, chunk::OFFSET_DATA, payload);
            head[..CHUNK_LEN].copy_from_slice(&header);
            head[CHUNK_LEN..].copy_from_slice(&request.offset.to_be_bytes());
            &head[..]
        } else if structured {
            head[..CHUNK_LEN].copy_from_slice(&execute::chunk_header(request.cookie, chunk::DONE, chunk::NONE, 0));
            &head[..CHUNK_LEN]
        } else {
            head[..SIMPLE_REPLY_LEN].copy_from_slice(&execute::simple_header(request.cookie, 0));
            &head[..SIMPLE_REPLY_LEN]
        };
        self.reserve(head.len() + len)?;
        let room = self.out.room(head.len() + len);
        if let Err(error) = self.medium.read(request.offset, &mut room[head.len()..]) {
            return self.answer(request, Err(error));
        }
        room[..head.len()].copy_from_slice(head);
        self.out.len += head.len() + len;
        self.send_enough()
    }

    /// Writes what is in the buffer of the socket without moving it; a long payload goes piece by piece.
    fn write(&mut self, request: &Request) -> io::Result<()> {
        let len = request.len as usize;
        let durable = request.has(cmd_flag::FUA);
        if len > PIECE {
            // What the client waits for it shall have while we take the payload.
            self.send()?;
        }
        let mut done = 0;
        let mut result = Ok(());
        while done < len || len == 0 {
            let part = PIECE.min(len - done);
            let payload = self.input.need(part)?;
            if result.is_ok() {
                // Of several pieces the last one's flush is for all of them.
                result = self.medium.write(request.offset + done as u64, payload, durable && part == len);
            }
            self.input.consume(part);
            done += part;
            if len == 0 {
                break;
            }
        }
        if durable && len > PIECE && result.is_ok() {
            result = self.medium.flush();
        }
        self.answer(request, result)
    }

    fn answer(&mut self, request: &Request, done: Result<(), u32>) -> io::Result<()> {
        let reply = execute::answer(request, self.agreed.structured, done);
        self.put(&reply)
    }

    fn put(&mut self, reply: &[u8]) -> io::Result<()> {
        self.reserve(reply.len())?;
        self.out.room(reply.len()).copy_from_slice(reply);
        self.out.len += reply.len();
        self.send_enough()
    }

    /// Makes room for a reply of `len` bytes.
    fn reserve(&mut self, len: usize) -> io::Result<()> {
        if self.out.buf.len() - self.out.len < len {
            self.send()?;
        }
        if self.out.buf.len() < len {
            self.out.buf.resize(len, 0);
        }
        Ok(())
    }

    fn send_enough(&mut self) -> io::Result<()> {
        if self.out.len >= SEND_AT { self.send() } else { Ok(()) }
    }

    /// Sends what is there.
    fn send(&mut self) -> io::Result<()> {
        if self.out.len > 0 {
            self.outbox.send(&self.out.buf[..self.out.len])?;
            self.out.len = 0;
            if self.out.buf.len() > OUT {
                self.out.buf.truncate(OUT);
                self.out.buf.shrink_to_fit();
            }
        }
        Ok(())
    }
}

impl Out {
    /// The next `len` bytes, which were reserved.
    fn room(&mut self, len: usize) -> &mut [u8] {
        &mut self.buf[self.len..self.len + len]
    }
}
