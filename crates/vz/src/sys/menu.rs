//! The menu bar: lines without a target, which reach the delegate of the key window.

use objc2::rc::Retained;
use objc2::runtime::Sel;
use objc2::{MainThreadMarker, MainThreadOnly, sel};
use objc2_app_kit::{NSMenu, NSMenuItem};
use objc2_foundation::NSString;

use crate::Action;

/// The menus of the program and of its machines.
pub(super) fn main_menu(main: MainThreadMarker) -> Retained<NSMenu> {
    let bar = NSMenu::new(main);
    // The system gives the first menu the program's name.
    let program = menu(main, "");
    add(&program, "Hide", sel!(hide:), "h", NO_ACTION);
    add(&program, "Quit", sel!(terminate:), "q", NO_ACTION);
    let machine = menu(main, "Machine");
    for (number, action) in (0..).zip(Action::ALL) {
        add(&machine, "", sel!(russetChoose:), action.key(), number);
    }
    for menu in [&program, &machine] {
        let line = NSMenuItem::new(main);
        line.setSubmenu(Some(menu));
        bar.addItem(&line);
    }
    bar
}

/// The tag of lines that are none of ours.
const NO_ACTION: isize = -1;

/// What a line of the machine's menu is for.
pub(super) fn action(line: &NSMenuItem) -> Option<Action> {
    usize::try_from(line.tag()).ok().and_then(|number| Action::ALL.get(number).copied())
}

fn menu(main: MainThreadMarker, title: &str) -> Retained<NSMenu> {
    NSMenu::initWithTitle(NSMenu::alloc(main), &NSString::from_str(title))
}

fn add(menu: &NSMenu, title: &str, selector: Sel, key: &str, tag: isize) {
    let (title, key) = (NSString::from_str(title), NSString::from_str(key));
    // SAFETY: the selectors are those of NSApplication and of our window's controller, which take their sender.
    unsafe { menu.addItemWithTitle_action_keyEquivalent(&title, Some(selector), &key) }.setTag(tag);
}
