//! Sends a mail. Acceptance is not delivery: a bounce comes to the sender's mailbox, later.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use crate::graph::client::{GraphClient, Identity};
use crate::graph::error::GraphError;
use crate::http::calls::Service;
use crate::http::{Call, Draft, Repeat, StatusCode};

/// A mail with an HTML body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Travels as `x-graphkeeper-notice`, so that one that came twice can be told.
    pub id: String,
    pub subject: String,
    pub html: String,
    /// Addresses.
    pub to: Vec<String>,
    pub attachments: Vec<Attachment>,
}

/// A JSON file beside a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub name: String,
    pub content: String,
}

/// The request's body.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SendMail {
    message: Value,
    save_to_sent_items: bool,
}

impl GraphClient {
    /// Sends `mail` as the person who signed in, or as the mailbox `from`, which an application has to name.
    ///
    /// `POST /me/sendMail` or `POST /users/{from}/sendMail`, 202 when accepted. Not repeated when the answer is lost: it may
    /// have been sent. Needs `Mail.Send`, application or delegated. The copy in the sent items is left out.
    /// Source: <https://learn.microsoft.com/graph/api/user-sendmail>
    ///
    /// # Errors
    ///
    /// [`GraphError::Refused`] with 403 without the permission or for a mailbox that a policy shuts, 404 for one that does
    /// not exist or has no license.
    pub async fn send_mail(&self, identity: Identity, from: Option<&str>, mail: &Mail) -> Result<(), GraphError> {
        let (url, endpoint) = match from {
            Some(from) => (self.at(&["users", from, "sendMail"], &[]), "/users/{id}/sendMail"),
            None => (self.at(&["me", "sendMail"], &[]), "/me/sendMail"),
        };
        let mut call = Call::post(Service::Graph, url, endpoint, Repeat::OnlyIfNotExecuted);
        call.json = false; // 202 has no body
        let body = SendMail { message: message(mail), save_to_sent_items: false };
        let answer = self.send(identity, call, || Draft::new().json(&body)).await?;
        if answer.status == StatusCode::ACCEPTED { Ok(()) } else { Err(GraphError::refused(&answer)) }
    }
}

fn message(mail: &Mail) -> Value {
    let to: Vec<Value> = mail.to.iter().map(|address| json!({ "emailAddress": { "address": address } })).collect();
    let attachments = mail.attachments.iter().map(|attachment| {
        json!({
            "@odata.type": "#microsoft.graph.fileAttachment",
            "name": attachment.name,
            "contentType": "application/json",
            "contentBytes": STANDARD.encode(&attachment.content),
        })
    });
    let attachments: Vec<Value> = attachments.collect();
    let mut message = json!({
        "subject": mail.subject,
        "body": { "contentType": "HTML", "content": mail.html },
        "toRecipients": to,
        // Custom headers begin with `x-`.
        "internetMessageHeaders": [{ "name": "x-graphkeeper-notice", "value": mail.id }],
    });
    if !attachments.is_empty() {
        message["attachments"] = attachments.into();
    }
    message
}
