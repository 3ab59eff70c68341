//! A call to Graph that an operator wrote down.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::run::words;

words! {
    /// What a call does.
    Method, "method", {
        Get => "GET",
        Post => "POST",
        Patch => "PATCH",
        Put => "PUT",
        Delete => "DELETE",
    }
}

impl Method {
    /// Whether Graph may change something. Some of Graph's questions are posts; they count as writes, too.
    #[must_use]
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Get)
    }

    /// Whether a body makes sense.
    #[must_use]
    pub const fn takes_a_body(self) -> bool {
        matches!(self, Self::Post | Self::Patch | Self::Put)
    }
}

words! {
    /// Which Graph: the stable one, or the one that may change from day to day.
    Version, "version", {
        V1 => "v1.0",
        Beta => "beta",
    }
}

words! {
    /// Who asks.
    Asker, "identity", {
        /// The application itself.
        App => "app",
        /// The person who signed in.
        User => "user",
    }
}
