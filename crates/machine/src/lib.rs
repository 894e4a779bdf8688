//! Russet: the board.
