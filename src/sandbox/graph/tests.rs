//! Graph over the wire.
