//! The user-mode router, with smoltcp's stack as the guest and loopback sockets as the world.

mod forward;
mod guest;
mod hostile;
mod local;
mod namespace;
mod resolver;
mod tcp;
mod udp;
mod v6;
mod way;
