//! The rotated refresh token on disk.
