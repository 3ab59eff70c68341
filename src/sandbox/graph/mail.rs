//! `/me/sendMail` and `/users/{id}/sendMail`.
//!
//! Source: <https://learn.microsoft.com/graph/api/user-sendmail>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::sandbox::faults::Fault;
use crate::sandbox::graph::call::Answer;
use crate::sandbox::graph::desk::Desk;
use crate::sandbox::graph::refusal::Refusal;
use crate::sandbox::graph::route::Key;
use crate::sandbox::model::entra::SentMail;
use crate::sandbox::server::Service;

/// What a request may be in all, in bytes.
const LONGEST: usize = 4 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    message: Message,
    #[serde(default, rename = "saveToSentItems")]
    _save_to_sent_items: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Message {
    #[serde(default)]
    subject: String,
    body: Text,
    to_recipients: Vec<Recipient>,
    #[serde(default)]
    internet_message_headers: Vec<Header>,
    #[serde(default)]
    attachments: Vec<Attachment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Text {
    content_type: String,
    content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Recipient {
    email_address: Address,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Address {
    address: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Attachment {
    #[serde(rename = "@odata.type")]
    kind: String,
    name: String,
    #[serde(rename = "contentType")]
    _content_type: String,
    content_bytes: String,
}

impl Desk<'_> {
    /// Takes a mail; it is in [`crate::sandbox::model::entra::Entra::mails`] then. Who has no mailbox sends none.
    pub(super) fn send_mail(&self, key: &Key) -> Result<Answer, Refusal> {
        let is_json = self.call.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        if !is_json {
            return Err(Refusal::new(
                400,
                "ErrorMimeContentInvalidBase64String",
                "Invalid base64 string for MIME content.",
            ));
        }
        if self.call.body.len() > LONGEST {
            return Err(Refusal::new(413, "RequestEntityTooLarge", "The request is too large."));
        }
        let request: Request = serde_json::from_slice(&self.call.body).map_err(|error| {
            Refusal::new(400, "RequestBodyRead", format!("Unable to read JSON request payload: {error}"))
        })?;
        let mail = read(request.message)?;
        let ordered = self.site.faults.draw_effect(Service::Graph, &self.call.method, &self.call.path);
        if let Some(Fault::Refuse { status, code, message }) = ordered {
            return Err(Refusal::new(status, &code, message));
        }
        let mut world = self.site.world.write();
        let from = match key {
            Key::Me => world.entra.me,
            Key::Named(name) => {
                let found = world.entra.find(name).map(|account| account.id);
                found.ok_or_else(|| {
                    Refusal::new(404, "ErrorInvalidUser", format!("The requested user '{name}' is invalid."))
                })?
            }
        };
        let account = world.entra.get(from).filter(|account| account.mail.is_some());
        let Some(sender) = account.map(|account| account.user_principal_name.to_string()) else {
            let message = "The mailbox is either inactive, soft-deleted, or is hosted on-premise.";
            return Err(Refusal::new(404, "MailboxNotEnabledForRESTAPI", message));
        };
        world.entra.mails.push(SentMail { from: sender, ..mail });
        Ok(Answer::accepted())
    }
}

fn read(message: Message) -> Result<SentMail, Refusal> {
    let bad = |message: &str| Refusal::new(400, "ErrorInvalidRequest", message);
    if !["text", "html"].iter().any(|kind| message.body.content_type.eq_ignore_ascii_case(kind)) {
        return Err(bad("Requested value for contentType was not found."));
    }
    let to: Vec<String> = message.to_recipients.into_iter().map(|recipient| recipient.email_address.address).collect();
    if to.is_empty() || to.iter().any(|address| !address.contains('@') || address.contains(char::is_whitespace)) {
        return Err(Refusal::new(400, "ErrorInvalidRecipients", "At least one recipient is not valid."));
    }
    if message.internet_message_headers.iter().any(|header| !header.name.starts_with("x-") || header.value.is_empty()) {
        return Err(Refusal::new(
            400,
            "InvalidInternetMessageHeader",
            "The internet message header name should start with 'x-' or 'X-'.",
        ));
    }
    let mut attachments = Vec::new();
    for attachment in message.attachments {
        if attachment.kind != "#microsoft.graph.fileAttachment" {
            return Err(bad("The attachment's type is not known."));
        }
        let bytes = STANDARD.decode(&attachment.content_bytes).map_err(|_| bad("contentBytes is not base64."))?;
        attachments.push((attachment.name, String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(SentMail { from: String::new(), to, subject: message.subject, body: message.body.content, attachments })
}
