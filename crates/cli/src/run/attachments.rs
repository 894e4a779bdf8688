//! Disks and devices in the order in which they stand on the command line, whichever flag they stand behind.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, ValueHint};

/// One disk or device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attachment {
    /// `-d`: a disk image.
    Disk(String),
    /// `-c`: a disk image that the guest cannot write.
    Cdrom(String),
    /// `--device`.
    Device(String),
}

/// The disks and devices of a command line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attachments(pub(crate) Vec<Attachment>);

/// What the value of an argument becomes.
type Make = fn(String) -> Attachment;

/// What `--help` says of disks.
const DISK_HELP: &str = "\
Disk: an image, or nbd://HOST/EXPORT. Repeat for more, in order: vda, vdb, ..

Keys behind a comma:
  snapshot            throw away what the guest writes; the image is
                      not changed and can be shared
  readonly            the guest cannot write
  format=FORMAT       raw, qcow2, vmdk or vhdx. Without it a file
                      called .qcow2, .vmdk or .vhdx is that, and all
                      else is raw; contents never decide, because a
                      guest can write a qcow2 header into its raw disk
  backing-folder=DIR  files below a qcow2 image may lie there; without
                      it only in the image's own folder or in it
  bps=N, iops=N       most bytes and requests in a second
  sync=MODE           what a flush of the guest does: full and fsync
                      make it durable; none loses data when the power
                      fails
  caching=MODE        cached, or uncached to keep the disk out of the
                      host's page cache
  device-id=ID        serial number";

/// The arguments.
const KINDS: [(&str, Make); 3] =
    [("disk", Attachment::Disk), ("cdrom", Attachment::Cdrom), ("device", Attachment::Device)];

impl Args for Attachments {
    fn augment_args(command: Command) -> Command {
        let arg = |name: &'static str| Arg::new(name).long(name).action(ArgAction::Append);
        command
            .arg(
                arg("disk")
                    .value_hint(ValueHint::FilePath)
                    .short('d')
                    .value_name("IMAGE[,KEY=VALUE,..]")
                    .help("Disk; repeat for more, in order: vda, vdb, ..")
                    .long_help(DISK_HELP),
            )
            .arg(
                arg("cdrom")
                    .value_hint(ValueHint::FilePath)
                    .short('c')
                    .value_name("IMAGE")
                    .help("Read-only disk image, in the same order as -d"),
            )
            .arg(
                arg("device")
                    .value_name("KIND,KEY=VALUE,..")
                    .help("Device: virtio-blk,path=.. | virtio-net,nat | virtio-serial,stdio | virtio-rng | .."),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Attachments::augment_args(command)
    }
}

impl FromArgMatches for Attachments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut found = Vec::new();
        for (name, make) in KINDS {
            let values = matches.get_many::<String>(name).into_iter().flatten();
            let indices = matches.indices_of(name).into_iter().flatten();
            found.extend(indices.zip(values).map(|(index, value)| (index, make(value.clone()))));
        }
        found.sort_by_key(|(index, _)| *index);
        Ok(Attachments(found.into_iter().map(|(_, attachment)| attachment).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Attachments::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_command_line() {
        let command = Attachments::augment_args(Command::new("test"));
        let line = ["test", "-d", "a", "-c", "b", "--device", "nvme,path=c", "-d", "d"];
        let matches = command.try_get_matches_from(line).unwrap();
        let wanted = [
            Attachment::Disk("a".into()),
            Attachment::Cdrom("b".into()),
            Attachment::Device("nvme,path=c".into()),
            Attachment::Disk("d".into()),
        ];
        assert_eq!(Attachments::from_arg_matches(&matches).unwrap().0, wanted);
    }
}
