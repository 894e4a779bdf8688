//! The rest: entropy, balloon, displays, input, sound.

use config::{Graphics, GraphicsDevice, Input, Platform};

use super::{Keyboard, Object, Planner, Pointing};
use crate::Api;

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
