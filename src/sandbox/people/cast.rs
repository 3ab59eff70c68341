//! The cast: one person (or a few) for every reason to leave somebody alone, and two incidents.
//!
//! They are leaves of the tree, so that nothing else depends on them. What their configuration needs is in
//! [`Play`]: who is outside the scope, and who is excluded.

use uuid::Uuid;

use super::names::Name;
use super::{DOMAIN, Dice, Pair, name_manager, person, report_to};
use crate::sandbox::model::entra::{Account, Happening, Moment};

/// How many live people the cast adds. The departed manager is not listed and not counted.
pub(super) const SIZE: u32 = 26;

/// The cast with its props.
#[derive(Debug, Default)]
pub(super) struct Play {
    pub(super) pairs: Vec<Pair>,
    /// Accounts that belong to nobody in Okta.
    pub(super) strangers: Vec<Account>,
    /// Logins outside the scope.
    pub(super) outside: Vec<String>,
    /// Logins that the configuration excludes.
    pub(super) excluded: Vec<String>,
    pub(super) incidents: Vec<(Moment, Happening)>,
}

/// The director of the play: numbers people and hands out managers.
struct Stage<'a> {
    play: Play,
    boss: &'a Pair,
    other_boss: &'a Pair,
    dice: &'a mut Dice,
}

/// Plays it for an org whose regular people are these.
pub(super) fn play(regular: &[Pair], dice: &mut Dice) -> Play {
    let mut stage = Stage { play: Play::default(), boss: &regular[0], other_boss: &regular[1], dice };
    stage.not_ours();
    stage.accounts();
    stage.references();
    stage.managers();
    stage.cycle();
    stage.refused();
    stage.incidents();
    stage.strangers();
    stage.play
}

impl Stage<'_> {
    /// Somebody who reports to the boss in Okta and has an account without a manager: a set, if nothing is changed.
    fn actor(&mut self, first: &'static str, last: &'static str) -> Pair {
        let handle = format!("{}.{}", first.to_lowercase(), last.to_lowercase());
        let index = 900_000_000 + u32::try_from(self.play.pairs.len()).expect("a small cast");
        let mut pair = person(&Name { first, last, handle }, index, self.dice);
        name_manager(&mut pair, self.boss);
        pair
    }

    /// Somebody on whom both sides agree.
    fn agreed(&mut self, first: &'static str, last: &'static str) -> Pair {
        let mut pair = self.actor(first, last);
        report_to(&mut pair, self.boss, false, self.dice);
        pair
    }

    fn enter(&mut self, pair: Pair) {
        self.play.pairs.push(pair);
    }

    /// `out_of_scope`, `excluded`, `inactive_in_okta`, `unknown_status`.
    fn not_ours(&mut self) {
        let mut contractor = self.actor("Conrad", "Outside");
        contractor.user.profile.set("userType", "Contractor");
        self.play.outside.push(contractor.user.login().to_owned());
        self.enter(contractor);
        let excluded = self.actor("Break", "Glass");
        self.play.excluded.push(excluded.user.login().to_owned());
        self.enter(excluded);
        let mut staged = self.actor("Stella", "Staged");
        staged.user.status = "STAGED".into();
        self.enter(staged);
        let mut unknown = self.actor("Una", "Known");
        unknown.user.status = "ACTIVATING".into();
        self.enter(unknown);
    }

    /// `no_account`, `ambiguous_account`, `conflicting_people`, and with them `manager_has_no_account` and
    /// `manager_ambiguous`.
    fn accounts(&mut self) {
        let mut newcomer = self.actor("Newt", "Comer");
        newcomer.account = None;
        let mut report = self.actor("Dee", "Ferred");
        name_manager(&mut report, &newcomer);
        self.enter(newcomer);
        self.enter(report);

        let mut twice = self.actor("Ambi", "Guous");
        let mail: Box<str> = twice.user.email().into();
        for prefix in ["old", "new"] {
            let mut account = twice.account.clone().expect("actors have accounts");
            account.id = self.dice.uuid();
            account.user_principal_name = format!("{prefix}.{mail}").into();
            account.employee_id = None;
            account.proxy_addresses = Box::default();
            self.play.strangers.push(account);
        }
        twice.account = None;
        self.enter(twice);

        let shared = format!("front.desk@{DOMAIN}");
        for (first, last) in [("Fred", "Front"), ("Desi", "Desk")] {
            let mut clerk = self.actor(first, last);
            clerk.user.profile.set("email", shared.as_str());
            clerk.account = None;
            self.enter(clerk);
        }
        let mut report = self.actor("Toby", "Twoheads");
        report.user.profile.set("managerEmail", shared.as_str());
        let mut account = report.account.clone().expect("actors have accounts");
        account.id = self.dice.uuid();
        account.user_principal_name = format!("frontdesk@{DOMAIN}").into();
        account.display_name = "Front desk".into();
        account.mail = Some(shared.into());
        account.employee_id = None;
        account.proxy_addresses = Box::default();
        self.play.strangers.push(account);
        self.enter(report);
    }

    /// `manager_not_given` (beside whoever leads the company), `manager_placeholder`, `manager_not_found`,
    /// `self_manager`.
    fn references(&mut self) {
        for (first, last, reference) in
            [("Nora", "Notgiven", ""), ("Pax", "Placeholder", "N/A"), ("Tess", "Bedecided", "TBD")]
        {
            let mut pair = self.actor(first, last);
            pair.user.profile.unset("manager");
            pair.user.profile.set("managerId", reference);
            pair.user.profile.set("managerEmail", reference);
            self.enter(pair);
        }
        let mut lost = self.actor("Lou", "Lost");
        lost.user.profile.set("managerId", format!("nobody.known@{DOMAIN}"));
        lost.user.profile.set("managerEmail", format!("nobody.known@{DOMAIN}"));
        self.enter(lost);
        let mut own = self.actor("Solo", "Selfmade");
        let itself = own.clone();
        name_manager(&mut own, &itself);
        self.enter(own);
    }

    /// `manager_disabled`, once by Okta and once by Entra, and `manager_is_guest`.
    fn managers(&mut self) {
        let mut departed = self.agreed("Dora", "Departed");
        departed.user.status = "DEPROVISIONED".into();
        let mut asleep = self.agreed("Dirk", "Disabled");
        asleep.account.as_mut().expect("actors have accounts").enabled = false;
        let mut guest = self.agreed("Gus", "Guest");
        let account = guest.account.as_mut().expect("actors have accounts");
        account.guest = true;
        account.user_principal_name = "gus.guest_partner.example#EXT#@corp.onmicrosoft.com".into();
        for (boss, (first, last)) in
            [(departed, ("Orla", "Orphan")), (asleep, ("Dale", "Dormant")), (guest, ("Gil", "Guestled"))]
        {
            let mut report = self.actor(first, last);
            name_manager(&mut report, &boss);
            self.enter(boss);
            self.enter(report);
        }
    }

    /// `closes_cycle`, twice: each of two is to manage the other.
    fn cycle(&mut self) {
        let mut here = self.actor("Rondo", "Round");
        let mut there = self.actor("Ronda", "Round");
        name_manager(&mut here, &there);
        name_manager(&mut there, &here);
        self.enter(here);
        self.enter(there);
    }

    /// `mastered_on_premises` (seen beforehand) and `blocked` (only Graph knows).
    fn refused(&mut self) {
        let mut synced = self.actor("Adele", "Premises");
        let account = synced.account.as_mut().expect("actors have accounts");
        account.on_premises_sync_enabled = Some(true);
        account.on_premises_immutable_id = Some("q83vEjRWeJCrze8SNFZ4kA==".into());
        self.enter(synced);
        let mut foreign = self.actor("Ekko", "External");
        foreign.account.as_mut().expect("actors have accounts").externally_mastered = true;
        self.enter(foreign);
    }

    /// `vanished` and `stale`: another administrator is at work while we are.
    fn incidents(&mut self) {
        let leaver = self.actor("Van", "Ished");
        let moved = self.actor("Stan", "Stale");
        let id = |pair: &Pair| -> Uuid { pair.account.as_ref().expect("actors have accounts").id };
        self.play.incidents.push((Moment::AccountsListed, Happening::Deleted(id(&leaver))));
        let manager = Some(id(self.other_boss));
        let rehung = Happening::ManagedBy { account: id(&moved), manager };
        self.play.incidents.push((Moment::AccountsListed, rehung));
        // She has moved to another team: by the next run Okta knows it too, and both sides agree.
        let known = Happening::MovedInOkta {
            person: moved.user.login().to_owned(),
            manager: self.other_boss.user.login().to_owned(),
        };
        self.play.incidents.push((Moment::NextListing, known));
        self.enter(leaver);
        self.enter(moved);
    }

    /// Accounts without a person: a room, a service, an invited guest.
    fn strangers(&mut self) {
        for (name, principal) in [
            ("Room Oslo", "room.oslo@corp.example"),
            ("Backup service", "svc.backup@corp.onmicrosoft.com"),
            ("Invited partner", "pia_partner.example#EXT#@corp.onmicrosoft.com"),
        ] {
            let account = Account {
                id: self.dice.uuid(),
                user_principal_name: principal.into(),
                display_name: name.into(),
                enabled: true,
                guest: principal.contains("#EXT#"),
                created: super::EPOCH,
                ..Account::default()
            };
            self.play.strangers.push(account);
        }
    }
}
