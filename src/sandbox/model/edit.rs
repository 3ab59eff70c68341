//! Handles by which tests edit the world.
