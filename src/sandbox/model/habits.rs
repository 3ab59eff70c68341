//! Where the vendor's behavior is unknown, varies, or can be set: switches that a test throws.

use std::time::Duration;

/// How the Entra tenant behaves where the documentation leaves a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each thrown by itself")]
pub struct Habits {
    /// How long access tokens live; Entra says about an hour (`expires_in` 3599).
    pub token_life: Duration,
    /// Client secrets are past their date: `AADSTS7000222`.
    pub secrets_expired: bool,
    /// What becomes of a refresh token that was issued by this tenant.
    pub refresh_tokens: RefreshTokens,
    /// A refresh token is good once; used again, all that came from it are revoked. Entra does neither.
    pub refresh_once: bool,
    /// What the person does at the browser.
    pub person: Person,
    /// How many seconds a device flow asks to leave between two polls.
    pub device_interval: u64,
    /// How long the codes of a device flow live.
    pub device_life: Duration,
    /// Graph asks for these claims, as the header has them, from every token that was got without them.
    pub claims_wanted: Option<&'static str>,
    /// A manager that closes a cycle, or manages itself, is refused with 400. Nothing documents that Entra does.
    pub refuses_cycles: bool,
    /// Removing a manager where there is none answers 404; otherwise 204.
    pub missing_manager_is_not_found: bool,
    /// Accounts without a manager are listed with `"manager": null`; otherwise the member is absent.
    pub shows_null_manager: bool,
    /// Error objects spell `innererror`; otherwise `innerError`. Both occur.
    pub lowercase_inner_error: bool,
    /// How long reads show the old manager after each write.
    pub read_lag: Duration,
}

/// What becomes of the refresh tokens of a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefreshTokens {
    #[default]
    Honored,
    /// Unused for 90 days: `AADSTS700082`.
    Inactive,
    /// Revoked by an administrator or a changed password: `AADSTS50173`.
    Revoked,
    /// A policy asks the person for a second factor: `AADSTS50076` with `suberror` and `claims`.
    StepUp,
    /// Consent was taken back: `AADSTS65001`.
    Unconsented,
    /// The person's account is disabled: `AADSTS50057`.
    UserDisabled,
    /// A policy wants people to sign in more often: `AADSTS70043`.
    TooOld,
}

/// What a person does who is sent to the browser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Person {
    /// Comes to the device page by itself, if at all; agrees at once where a browser is already open.
    #[default]
    Comes,
    /// Agrees when a device has polled so often.
    AgreesAfter(u32),
    Declines,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            token_life: Duration::from_secs(3599),
            secrets_expired: false,
            refresh_tokens: RefreshTokens::Honored,
            refresh_once: false,
            person: Person::Comes,
            device_interval: 5,
            device_life: Duration::from_mins(15),
            claims_wanted: None,
            refuses_cycles: false,
            missing_manager_is_not_found: true,
            shows_null_manager: false,
            lowercase_inner_error: false,
            read_lag: Duration::ZERO,
        }
    }
}
