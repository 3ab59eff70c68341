//! `notify test`: whether a channel works, tried with a notice that says so.

use std::sync::Arc;

use serde_json::json;

use crate::app::App;
use crate::cli::args::{Global, NotifyCommand};
use crate::cli::carrier::{Carrier, carrier};
use crate::cli::failure::Failure;
use crate::cli::page::Page;
use crate::cli::{caller, exit, work};
use crate::clock::SystemClock;
use crate::config;
use crate::control::carry;
use crate::control::wire::{TestRequest, Tested};
use crate::tables::table::{Cell, Table};

/// Sends a test notice and says whether it was taken.
///
/// JSON: `{channel, taken, note}`; `note` is null or what is worth knowing of its arrival.
pub(super) async fn run(global: &Global, command: &NotifyCommand) -> Result<u8, Failure> {
    let NotifyCommand::Test { channel } = command;
    let settings = work::settings(global)?;
    let request = TestRequest { channel: channel.clone() };
    let tested = match carrier(&settings).await? {
        Carrier::Service(client) => client.notify_test(&request).await?,
        Carrier::Here { .. } => {
            let app = App::open(settings, &config::environment(), Arc::new(SystemClock)).await?;
            let tested = carry::notify_test(app.notices(), &request, &caller::name()).await;
            app.close().await;
            tested?
        }
    };
    page(&tested).print(global.format())?;
    Ok(exit::SUCCEEDED)
}

fn page(tested: &Tested) -> Page {
    let Tested { channel, note } = tested;
    let said = note.as_ref().map(|note| format!("{note}.\n")).unwrap_or_default();
    let columns = [("channel", "Channel"), ("taken", "Taken"), ("note", "Note")];
    let mut rows = Table::new(&columns, "");
    rows.push(vec![Cell::text(channel), Cell::new(true, "true"), Cell::optional(note.as_ref(), Cell::text)]);
    Page {
        text: format!("The channel {channel} took a test notice.\n{said}"),
        json: json!({ "channel": channel, "taken": true, "note": note }),
        rows,
    }
}
