//! Handles by which tests let subscriptions age: `world.entra().subscription("DEVELOPERPACK_E5").ends_in(29)`.
//!
//! Dates are relative to the clock, which nobody sets: time passes for a tenant when its dates come nearer.

use jiff::{SignedDuration, Timestamp};

use crate::sandbox::model::World;
use crate::sandbox::model::edit::EntraSide;
use crate::sandbox::model::entra::{Entra, Subscription};
use crate::sandbox::server::now;

/// Half a day: added to whole days from now, so that a test which takes its time still sees as many.
const HALF_A_DAY: SignedDuration = SignedDuration::from_hours(12);

/// The first subscription of a product.
#[derive(Clone, Debug)]
pub struct SubscriptionHandle {
    world: World,
    part_number: String,
}

impl EntraSide {
    /// The first subscription of the product with this part number.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn subscription(&self, part_number: &str) -> SubscriptionHandle {
        let handle = SubscriptionHandle { world: self.world().clone(), part_number: part_number.to_owned() };
        handle.edit(|_, _| {});
        handle
    }

    /// Lets so many days pass for the tenant: every subscription's dates are as many days nearer.
    pub fn days_pass(&self, days: i64) {
        let nearer = |at: Timestamp| at - SignedDuration::from_hours(24 * days);
        for one in &mut self.world().write().entra.subscriptions {
            one.created = nearer(one.created);
            one.next_lifecycle = one.next_lifecycle.map(nearer);
        }
    }
}

impl SubscriptionHandle {
    fn edit(&self, change: impl FnOnce(&mut Entra, usize)) -> &Self {
        let mut state = self.world.write();
        let mine = |one: &Subscription| one.part_number == self.part_number;
        let place = state.entra.subscriptions.iter().position(mine);
        let place = place.unwrap_or_else(|| panic!("the sandbox has no subscription of {}", self.part_number));
        change(&mut state.entra, place);
        drop(state);
        self
    }

    /// It leaves its present status in so many days from now, and half a day.
    pub fn ends_in(&self, days: i64) -> &Self {
        let ends = now() + SignedDuration::from_hours(24 * days) + HALF_A_DAY;
        let ends = Timestamp::from_second(ends.as_second()).expect("within the calendar");
        self.edit(|entra, place| entra.subscriptions[place].next_lifecycle = Some(ends))
    }

    /// Another status: its seats change with it. What was enabled is in its grace period as `Warning`, cannot be used as
    /// `Suspended`, and is locked out as `LockedOut`.
    /// Source: <https://learn.microsoft.com/graph/api/resources/licenseunitsdetail>
    pub fn becomes(&self, status: &str) -> &Self {
        self.edit(|entra, place| {
            let one = &mut entra.subscriptions[place];
            status.clone_into(&mut one.status);
            let (sku_id, seats) = (one.sku_id, one.total_licenses);
            for sku in entra.skus.iter_mut().filter(|sku| sku.sku_id == sku_id) {
                status.clone_into(&mut sku.capability_status);
                let units = |wanted: &str| if status == wanted { seats } else { 0 };
                (sku.enabled, sku.warning) = (units("Enabled"), units("Warning"));
                (sku.suspended, sku.locked_out) = (units("Suspended"), units("LockedOut"));
            }
        })
    }

    /// Deleted for good, and its product with it.
    pub fn remove(&self) {
        self.edit(|entra, place| {
            let gone = entra.subscriptions.remove(place);
            entra.skus.retain(|sku| sku.sku_id != gone.sku_id);
        });
    }
}
