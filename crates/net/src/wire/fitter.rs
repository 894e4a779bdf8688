//! A frame on its way to a receiver that may take less than the sender left to it.

use crate::offload::{Segmenter, finish};
use crate::{Meta, Offloads};

/// An Ethernet header, in bytes: what is shorter is no frame, and dropped.
const HEADER: usize = 14;

/// Holds one frame until its receiver has taken all of it, cut and summed as far as need be.
#[derive(Default)]
pub(crate) struct Fitter {
    frame: Vec<u8>,
    meta: Meta,
    segmenter: Option<Segmenter>,
    piece: Vec<u8>,
    left: Left,
}

#[derive(Default, PartialEq)]
enum Left {
    #[default]
    Nothing,
    Frame,
    /// `piece`, and what the segmenter has.
    Pieces,
}

impl Fitter {
    pub(crate) fn is_empty(&self) -> bool {
        self.left == Left::Nothing
    }

    /// Forgets what is left.
    pub(crate) fn clear(&mut self) {
        self.left = Left::Nothing;
    }

    /// Takes the frame that `fill` gives, for a receiver that takes `takes`. `None` from `fill` is given on.
    pub(crate) fn load<E>(
        &mut self,
        takes: Offloads,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<Option<Meta>, E>,
    ) -> Result<Option<()>, E> {
        let Some(meta) = fill(&mut self.frame)? else { return Ok(None) };
        if self.frame.len() < HEADER {
            return Ok(Some(()));
        }
        (self.meta, self.left) = (meta, Left::Frame);
        if takes.contains(meta.needs()) {
            return Ok(Some(()));
        }
        if meta.segments.is_some() {
            self.segmenter = Segmenter::new(&self.frame, meta);
            self.next_piece();
        } else if let Some(partial) = meta.partial {
            finish(&mut self.frame, partial);
            self.meta = Meta { verified: true, ..Meta::default() };
        }
        Ok(Some(()))
    }

    /// A frame that cannot be cut has no first piece: it is dropped.
    fn next_piece(&mut self) {
        let next = self.segmenter.as_mut().is_some_and(|s| s.next(&self.frame, &mut self.piece));
        self.left = if next { Left::Pieces } else { Left::Nothing };
    }

    /// Gives all that is left to `give`, until that says `false`, which is given on.
    pub(crate) fn drain<E>(&mut self, mut give: impl FnMut(&[u8], Meta) -> Result<bool, E>) -> Result<bool, E> {
        loop {
            match self.left {
                Left::Nothing => return Ok(true),
                Left::Frame => {
                    if !give(&self.frame, self.meta)? {
                        return Ok(false);
                    }
                    self.left = Left::Nothing;
                }
                Left::Pieces => {
                    if !give(&self.piece, Meta { verified: true, ..Meta::default() })? {
                        return Ok(false);
                    }
                    self.next_piece();
                }
            }
        }
    }
}
