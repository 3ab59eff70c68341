//! Shared by the tests of this room.
