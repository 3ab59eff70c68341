//! The Entra tenant: accounts and their managers, contacts, licenses, app registrations, incidents.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::sandbox::jwt::PublicKey;
use crate::sandbox::model::habits::Habits;

/// A tenant as Graph and the sign-in service see it.
#[derive(Debug, Default)]
pub struct Entra {
    /// The tenant's id, which is also what `tenant = …` may name.
    pub tenant: Uuid,
    /// The initial domain, `….onmicrosoft.com`; also accepted for the tenant.
    pub domain: String,
    /// The verified domains beside the initial one.
    pub domains: Vec<Domain>,
    pub on_premises: OnPremises,
    pub skus: Vec<Sku>,
    pub subscriptions: Vec<Subscription>,
    pub apps: Vec<AppRegistration>,
    /// Organizational contacts: they may be managers and are no users.
    pub contacts: HashMap<Uuid, Contact>,
    /// The account that signed in for the delegated identity: `/me`.
    pub me: Uuid,
    /// What was sent by Graph, oldest first.
    pub mails: Vec<SentMail>,
    /// Switches for what the documentation leaves open.
    pub habits: Habits,
    accounts: Vec<Option<Account>>,
    by_id: HashMap<Uuid, u32>,
    by_upn: HashMap<Box<str>, u32>,
    live: usize,
    writes: u64,
    incidents: Vec<Incident>,
    changed: BTreeMap<Uuid, Option<Uuid>>,
    stale: HashMap<Uuid, Stale>,
}

/// A verified domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domain {
    pub name: String,
    /// Another service signs its people in.
    pub federated: bool,
    pub default: bool,
}

/// The synchronization with a directory on premises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnPremises {
    /// `true` while it runs, `false` when it was stopped, `None` when there never was one.
    pub enabled: Option<bool>,
    pub last_sync: Option<Timestamp>,
    /// `bypassDirSyncOverridesEnabled`.
    pub bypass_overrides: bool,
}

/// A user object. Absent values are `None` and leave Graph as `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub id: Uuid,
    pub user_principal_name: Box<str>,
    pub display_name: Box<str>,
    pub given_name: Option<Box<str>>,
    pub surname: Option<Box<str>>,
    pub mail: Option<Box<str>>,
    /// With their prefix: `SMTP:` for the primary address, `smtp:` for the others.
    pub proxy_addresses: Box<[Box<str>]>,
    pub employee_id: Option<Box<str>>,
    pub on_premises_immutable_id: Option<Box<str>>,
    /// `true` for accounts mastered on-premises, `false` for those that were once, `None` for cloud accounts.
    pub on_premises_sync_enabled: Option<bool>,
    pub enabled: bool,
    /// `userType` `Guest` instead of `Member`.
    pub guest: bool,
    /// Mastered by another source: every write of the manager is refused with 400.
    pub externally_mastered: bool,
    /// The manager as stored; what a read shows is [`Entra::observed_manager`].
    pub manager: Option<Uuid>,
    /// Milliseconds since 1970.
    pub created: i64,
}

/// A mail that Graph took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentMail {
    /// The sender's principal name.
    pub from: String,
    pub to: Vec<String>,
    pub subject: String,
    pub body: String,
    /// Name and content.
    pub attachments: Vec<(String, String)>,
}

/// An organizational contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub id: Uuid,
    pub display_name: String,
    pub mail: String,
}

/// A row of `/subscribedSkus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sku {
    pub sku_id: Uuid,
    pub part_number: String,
    /// `Enabled`, `Warning`, `Suspended`, `Deleted` or `LockedOut`.
    pub capability_status: String,
    pub enabled: i64,
    pub warning: i64,
    pub suspended: i64,
    pub locked_out: i64,
    pub consumed: i64,
    pub subscription_ids: Vec<Uuid>,
    /// Service plans: id, name, provisioning status.
    pub plans: Vec<(Uuid, String, String)>,
}

/// A row of `/directory/subscriptions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub id: Uuid,
    pub commerce_id: Uuid,
    pub sku_id: Uuid,
    pub part_number: String,
    pub status: String,
    pub is_trial: bool,
    pub total_licenses: i64,
    pub created: Timestamp,
    pub next_lifecycle: Option<Timestamp>,
}

/// An application that may ask for tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppRegistration {
    pub client_id: Uuid,
    /// The service principal's object id (`oid` of app-only tokens).
    pub object_id: Uuid,
    pub name: String,
    /// `None` for an app without a secret.
    pub secret: Option<String>,
    /// Uploaded certificates.
    pub certificates: Vec<Certificate>,
    /// Federated credentials: whose tokens are taken in place of a secret.
    pub federated: Vec<Federated>,
    /// Where a browser may be sent with a code. `http://localhost` stands for every port there.
    pub redirect_uris: Vec<String>,
    /// Switched off in the admin center: `AADSTS7000112`.
    pub disabled: bool,
    /// Granted application permissions: the `roles` of its tokens.
    pub roles: Vec<String>,
    /// Delegated permissions with consent: the most that `scp` can be.
    pub scopes: Vec<String>,
}

impl AppRegistration {
    /// Whether the app has no credential of its own, so that only people sign in with it.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.secret.is_none() && self.certificates.is_empty() && self.federated.is_empty()
    }
}

/// A certificate that was uploaded to an app registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub der: Vec<u8>,
    pub key: PublicKey,
}

/// A federated credential: a token of this issuer, for this subject and audience, signed by this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Federated {
    pub issuer: String,
    pub subject: String,
    pub audience: String,
    pub key: PublicKey,
}

/// Something another administrator does while a client works. Fires once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    pub when: Moment,
    pub what: Happening,
    pub fired: bool,
}

/// When an incident strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Right after the last page of `/users` was served.
    AccountsListed,
    /// When Okta's people are listed from the start again and a manager was written since the world was made.
    NextListing,
}

/// What an incident does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    Deleted(Uuid),
    ManagedBy {
        account: Uuid,
        manager: Option<Uuid>,
    },
    /// Okta learns of another manager; both by login.
    MovedInOkta {
        person: String,
        manager: String,
    },
}

/// A manager that reads still show although another one is stored.
#[derive(Clone, Copy, Debug)]
struct Stale {
    shown: Option<Uuid>,
    until: Timestamp,
}

/// The row of an account; stable until the account is deleted and never used again.
pub type Row = u32;

impl Entra {
    /// Adds an account. An id or name that exists already is replaced in the index; generators do not do that.
    pub fn add(&mut self, account: Account) -> Row {
        let row = Row::try_from(self.accounts.len()).expect("fewer than 4 billion accounts");
        self.by_id.insert(account.id, row);
        self.by_upn.insert(fold(&account.user_principal_name), row);
        self.accounts.push(Some(account));
        self.live += 1;
        row
    }

    /// How many accounts there are: what `/users/$count` says.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.live
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The accounts from a row on, in listing order: a page takes as many as it wants, and the row after its last
    /// one is the next cursor.
    pub fn from_row(&self, row: Row) -> impl Iterator<Item = (Row, &Account)> {
        (row..)
            .zip(self.accounts.get(row as usize..).unwrap_or_default())
            .filter_map(|(row, slot)| Some((row, slot.as_ref()?)))
    }

    /// Every account.
    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().flatten()
    }

    /// The account with this object id.
    #[must_use]
    pub fn get(&self, id: Uuid) -> Option<&Account> {
        self.accounts[*self.by_id.get(&id)? as usize].as_ref()
    }

    /// The account that a path segment names: an object id or a user principal name, in any case.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<&Account> {
        if let Ok(id) = Uuid::try_parse(key) {
            return self.get(id);
        }
        self.accounts[*self.by_upn.get(&fold(key))? as usize].as_ref()
    }

    /// Changes anything of an account but its id.
    pub fn edit(&mut self, id: Uuid, change: impl FnOnce(&mut Account)) -> bool {
        let Some(row) = self.by_id.get(&id).copied() else { return false };
        let Some(account) = self.accounts[row as usize].as_mut() else { return false };
        let before = fold(&account.user_principal_name);
        change(account);
        account.id = id;
        let after = fold(&account.user_principal_name);
        if before != after {
            self.by_upn.remove(&before);
            self.by_upn.insert(after, row);
        }
        true
    }

    /// Deletes an account, and with it the manager of everybody it managed.
    pub fn remove(&mut self, id: Uuid) -> Option<Account> {
        let row = self.by_id.remove(&id)?;
        let account = self.accounts[row as usize].take()?;
        self.by_upn.remove(&fold(&account.user_principal_name));
        self.live -= 1;
        let reports: Vec<Uuid> = self.iter().filter(|other| other.manager == Some(id)).map(|other| other.id).collect();
        for report in reports {
            self.put_manager(report, None);
        }
        Some(account)
    }

    /// Whether an object exists that can be a manager: an account or a contact.
    #[must_use]
    pub fn can_be_manager(&self, id: Uuid) -> bool {
        self.by_id.contains_key(&id) || self.contacts.contains_key(&id)
    }

    /// The manager that a read at `now` shows. Differs from the stored one while a stale-reads fault lasts.
    #[must_use]
    pub fn observed_manager(&self, id: Uuid, now: Timestamp) -> Option<Uuid> {
        match self.stale.get(&id) {
            Some(stale) if now < stale.until => stale.shown,
            _ => self.get(id)?.manager,
        }
    }

    /// Stores a manager as a client's write: counted, and seen by reads only after `stale_for`.
    /// Answers the manager before.
    pub fn write_manager(
        &mut self,
        id: Uuid,
        manager: Option<Uuid>,
        now: Timestamp,
        stale_for: Option<SignedDuration>,
    ) -> Option<Uuid> {
        let shown = self.observed_manager(id, now);
        let before = self.put_manager(id, manager);
        self.writes += 1;
        match stale_for {
            Some(span) => {
                let until = now.checked_add(span).unwrap_or(Timestamp::MAX);
                self.stale.insert(id, Stale { shown, until });
            }
            None => {
                self.stale.remove(&id);
            }
        }
        before
    }

    /// Stores a manager without counting it as a client's write: another administrator, a test.
    pub fn put_manager(&mut self, id: Uuid, manager: Option<Uuid>) -> Option<Uuid> {
        let row = *self.by_id.get(&id)?;
        let account = self.accounts[row as usize].as_mut()?;
        let before = std::mem::replace(&mut account.manager, manager);
        self.changed.insert(id, manager);
        before
    }

    /// How many manager writes of clients were stored.
    #[must_use]
    pub const fn writes(&self) -> u64 {
        self.writes
    }

    /// The managers that were changed since the world was made.
    #[must_use]
    pub const fn changed(&self) -> &BTreeMap<Uuid, Option<Uuid>> {
        &self.changed
    }

    /// Takes up what an earlier start of this world had written.
    pub(crate) fn resume(&mut self, writes: u64, managers: impl IntoIterator<Item = (Uuid, Option<Uuid>)>) {
        self.writes = writes;
        for (account, manager) in managers {
            self.put_manager(account, manager);
        }
    }

    /// Forgets what was changed so far: what is there now is the world as made.
    pub(crate) fn seal(&mut self) {
        self.changed.clear();
    }

    /// Adds an incident that is yet to fire.
    pub fn plan_incident(&mut self, when: Moment, what: Happening) {
        self.incidents.push(Incident { when, what, fired: false });
    }

    #[must_use]
    pub fn incidents(&self) -> &[Incident] {
        &self.incidents
    }

    /// Lets the incidents of a moment happen that have not happened yet. Answers how many did. Those of Okta are
    /// [`crate::sandbox::model::State::begin_listing`]'s.
    pub fn fire(&mut self, when: Moment) -> usize {
        let due = self.due(when);
        for what in &due {
            self.happen(what);
        }
        due.len()
    }

    /// Marks the incidents of a moment as fired, and hands them out to be carried out.
    pub(super) fn due(&mut self, when: Moment) -> Vec<Happening> {
        let waiting = self.incidents.iter_mut().filter(|incident| incident.when == when && !incident.fired);
        let mark = |incident: &mut Incident| {
            incident.fired = true;
            incident.what.clone()
        };
        waiting.map(mark).collect()
    }

    /// Marks an incident as fired that an earlier start saw, and answers what it did.
    pub(super) fn again(&mut self, index: usize) -> Option<Happening> {
        let incident = self.incidents.get_mut(index)?;
        incident.fired = true;
        Some(incident.what.clone())
    }

    pub(super) fn happen(&mut self, what: &Happening) {
        match what {
            Happening::Deleted(id) => {
                self.remove(*id);
            }
            Happening::ManagedBy { account, manager } => {
                self.put_manager(*account, *manager);
            }
            Happening::MovedInOkta { .. } => {}
        }
    }
}

/// How Entra compares names: without regard to case.
fn fold(name: &str) -> Box<str> {
    name.to_lowercase().into_boxed_str()
}
