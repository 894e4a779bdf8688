//! The rest: entropy, balloon, shares, displays, input, sound.

use config::{AUTOMOUNT_TAG, Graphics, GraphicsDevice, Input, Platform, RosettaCache, ShareSource};

use super::{Keyboard, Object, Planner, Pointing, Share};
use crate::{Api, Rosetta};

/// The density of a Mac's display when nothing is said, in pixels per inch: what one without Retina has.
const PIXELS_PER_INCH: u32 = 80;

impl Planner<'_> {
    pub(super) fn devices(&mut self) {
        let machine = self.machine;
        if machine.entropy.is_some() {
            self.objects.push(Object::Entropy);
        }
        if let Some(balloon) = &machine.balloon {
            if balloon.free_page_reporting {
                let what = "the framework's balloon takes what it is told to and has no free page reporting";
                self.warn("balloon.free-page-reporting", what, "set it to false, and set targets by hand");
            }
            self.objects.push(Object::Balloon);
        }
        for (index, share) in machine.share.iter().enumerate() {
            self.share(&format!("share[{index}]"), share);
        }
        for (index, display) in machine.graphics.iter().enumerate() {
            self.display(index, display);
        }
        for (index, input) in machine.input.iter().enumerate() {
            self.input(&format!("input[{index}].kind"), *input);
        }
        for (index, sound) in machine.sound.iter().enumerate() {
            self.need(&format!("sound[{index}]"), Api::Sound, "remove it");
            self.objects.push(Object::Sound { input: sound.input, output: sound.output });
        }
    }

    fn share(&mut self, field: &str, share: &config::Share) {
        let mac = matches!(self.machine.platform, Platform::Mac(_));
        if share.tag == AUTOMOUNT_TAG {
            let key = format!("{field}.automount");
            self.need(&key, Api::AutomountTag, "give a `mount-tag`");
            if !mac {
                self.warn(key, "only macOS guests mount a share on their own", "give a `mount-tag`");
            }
        }
        let source = match &share.source {
            ShareSource::Single(directory) => Share::Single(directory.clone()),
            ShareSource::Multiple(directories) => Share::Multiple(directories.clone()),
            ShareSource::Rosetta { install, ignore_if_missing, cache } => {
                self.rosetta_cache(field, cache.as_ref());
                match self.rosetta(field, *install, *ignore_if_missing) {
                    Some(install) => Share::Rosetta { install, cache: cache.clone() },
                    None => return,
                }
            }
        };
        if !matches!(source, Share::Rosetta { .. }) {
            self.need(field, Api::FileSystem, "remove it");
        }
        self.objects.push(Object::Share { tag: share.tag.clone(), share: source });
    }

    /// Whether it has to be installed first; `None` when the machine is to be without it, or is refused.
    fn rosetta(&mut self, field: &str, install: bool, ignore_if_missing: bool) -> Option<bool> {
        if !matches!(self.machine.platform, Platform::Generic(_)) {
            self.refuse(field, "Rosetta is for Linux guests: a macOS guest brings its own", "remove it");
            return None;
        }
        let state = if self.has(Api::RosettaShare) { self.host.rosetta } else { Rosetta::NotSupported };
        let what = match (state, install) {
            (Rosetta::Installed, _) => return Some(false),
            (Rosetta::NotInstalled, true) => return Some(true),
            (Rosetta::NotInstalled, false) => "Rosetta is not installed on this Mac",
            (Rosetta::NotSupported, _) => "this Mac has no Rosetta for Linux guests",
        };
        if ignore_if_missing {
            self.warn(field, format!("{what}: x86-64 programs will not run"), "remove the share to hear this no more");
        } else if state == Rosetta::NotInstalled {
            self.refuse(field, what, "add `install`, or run: softwareupdate --install-rosetta");
        } else if self.has(Api::RosettaShare) {
            self.refuse(field, what, "remove it, or add `ignore-if-missing`");
        } else {
            self.need(field, Api::RosettaShare, "add `ignore-if-missing`");
        }
        None
    }

    fn rosetta_cache(&mut self, field: &str, cache: Option<&RosettaCache>) {
        match cache {
            None => {}
            Some(RosettaCache::UnixSocket(_)) => {
                self.need(&format!("{field}.cache-socket"), Api::RosettaSocket, "remove it");
            }
            Some(RosettaCache::AbstractSocket(_)) => {
                self.need(&format!("{field}.cache-abstract-socket"), Api::RosettaAbstractSocket, "remove it");
            }
        }
    }

    fn display(&mut self, index: usize, display: &Graphics) {
        let field = format!("graphics[{index}]");
        if index > 0 {
            self.refuse(field, "the framework's machines have one display", "remove it");
            return;
        }
        let Graphics { width, height, resizable, .. } = *display;
        let mac = matches!(self.machine.platform, Platform::Mac(_));
        match display.kind {
            GraphicsDevice::MacDisplay => {
                let pixels_per_inch = display.pixels_per_inch.unwrap_or(PIXELS_PER_INCH);
                self.need(&field, Api::MacGraphics, "remove it");
                self.objects.push(Object::MacDisplay { width, height, pixels_per_inch, resizable });
            }
            GraphicsDevice::VirtioGpu => {
                if mac {
                    let what = "macOS has no driver for a virtio display";
                    self.refuse(format!("{field}.kind"), what, "use `mac-display`");
                }
                self.need(&format!("{field}.kind"), Api::VirtioGraphics, "use a console");
                self.objects.push(Object::VirtioDisplay { width, height, resizable });
            }
        }
        if resizable {
            self.need(&format!("{field}.resizable"), Api::Reconfigures, "remove it");
        }
    }

    fn input(&mut self, field: &str, input: Input) {
        let (object, api, instead) = match input {
            Input::UsbKeyboard => (Object::Keyboard(Keyboard::Usb), Api::UsbKeyboard, "remove it"),
            Input::MacKeyboard => (Object::Keyboard(Keyboard::Mac), Api::MacKeyboard, "use `usb-keyboard`"),
            Input::UsbPointing => (Object::Pointing(Pointing::Usb), Api::UsbPointing, "remove it"),
            Input::MacTrackpad => (Object::Pointing(Pointing::MacTrackpad), Api::MacTrackpad, "use `usb-pointing`"),
            Input::VirtioKeyboard => {
                self.refuse(field, "the framework has no virtio keyboard", "use `usb-keyboard`");
                return;
            }
            Input::VirtioPointing => {
                self.refuse(field, "the framework has no virtio pointer", "use `usb-pointing`");
                return;
            }
        };
        self.need(field, api, instead);
        self.objects.push(object);
    }
}
