//! What the helpers of a plan have ready for the machine.

use std::os::fd::OwnedFd;

use crate::Error;

/// What a helper has ready, in the order of [`Plan::helpers`](crate::Plan::helpers).
#[derive(Debug)]
pub enum Resource {
    /// The URI of an export, of a [`NbdServer`](crate::Helper::NbdServer).
    Export(String),
    /// A connected datagram socket that carries frames, of everything that is a network.
    Frames(OwnedFd),
    /// A terminal or a stream, of everything that is a console.
    Stream(OwnedFd),
    /// Nothing: vsock ports are bound when the machine runs.
    Later,
}

/// The resources of a plan's helpers, each of which is taken once.
#[derive(Debug)]
pub struct Resources(Vec<Option<Resource>>);

impl Resources {
    /// In the order of the plan's helpers.
    #[must_use]
    pub fn new(resources: Vec<Resource>) -> Self {
        Self(resources.into_iter().map(Some).collect())
    }

    /// The export of a helper.
    ///
    /// # Errors
    /// It has none, or it is taken.
    pub fn export(&mut self, helper: usize) -> Result<String, Error> {
        match self.take(helper)? {
            Resource::Export(uri) => Ok(uri),
            other => Err(wrong(helper, &other, "is no export")),
        }
    }

    /// The socket of a helper.
    ///
    /// # Errors
    /// It has none, or it is taken.
    pub fn frames(&mut self, helper: usize) -> Result<OwnedFd, Error> {
        match self.take(helper)? {
            Resource::Frames(socket) => Ok(socket),
            other => Err(wrong(helper, &other, "carries no frames")),
        }
    }

    /// The stream of a helper.
    ///
    /// # Errors
    /// It has none, or it is taken.
    pub fn stream(&mut self, helper: usize) -> Result<OwnedFd, Error> {
        match self.take(helper)? {
            Resource::Stream(stream) => Ok(stream),
            other => Err(wrong(helper, &other, "is no console")),
        }
    }

    fn take(&mut self, helper: usize) -> Result<Resource, Error> {
        let resource = self.0.get_mut(helper).and_then(Option::take);
        resource.ok_or_else(|| Error::new(format!("helper {helper}"), "it has nothing ready for the machine"))
    }
}

fn wrong(helper: usize, resource: &Resource, what: &str) -> Error {
    Error::new(format!("helper {helper}"), format!("{resource:?} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_taken_once_and_for_what_it_is() {
        let mut resources = Resources::new(vec![Resource::Export("nbd://a".to_owned()), Resource::Later]);
        assert_eq!(resources.export(0).unwrap(), "nbd://a");
        assert_eq!(resources.export(0).unwrap_err().object, "helper 0");
        assert!(resources.stream(1).unwrap_err().reason.contains("Later is no console"));
        assert!(resources.frames(2).is_err());
    }
}
