//! Both ends of the NBD protocol against each other and against other people's clients and servers.

mod certificates;
mod contract;
mod hostile;
mod lost;
mod peers;
mod serving;
mod tls;
