//! The thinking itself: everybody's account, everybody's manager, and the verdict.

use crate::domain::decision::{ChangeKind, Kinds, Reason};
use crate::domain::directory::{AccountIx, People, PersonIx};
use crate::domain::identity::{AccountId, PersonStatus};
use crate::domain::index::Digest;
use crate::reconcile::brake::{Brake, Braked, brake};
use crate::reconcile::completeness::with_reference;
use crate::reconcile::correlate::{AccountKeys, Found, Hold, Relinked, Seat, seats};
use crate::reconcile::fold::{fold, is_placeholder, same};
use crate::reconcile::graph::Chains;
use crate::reconcile::known::OwnWrite;
use crate::reconcile::names::Names;
use crate::reconcile::plan::{Change, Input, Lookup, Plan, Verdict, add_id};
use crate::reconcile::policy::{RefersTo, Unfit, WhenEmpty};
use crate::reconcile::resolve::{Meant, PersonKeys, Resolver};

/// Thinks. Made once per pass; correlates on the way in.
#[derive(Debug)]
pub struct Planner<'a> {
    pub(super) input: Input<'a>,
    pub(super) accounts: AccountKeys<'a>,
    pub(super) resolver: Resolver<'a>,
    pub(super) seats: Vec<Seat>,
    relinked: Vec<Relinked>,
    excluded: Names,
    looked_up: Option<&'a People>,
    /// Whom the references of people who may be written mean, those who left not yet asked; of the others, why they may
    /// not. In the order of the listing.
    meant: Vec<Result<Meant, Reason>>,
}

/// What a judgement comes to, before cycles are looked for.
struct Judgement {
    verdict: Verdict,
    change: Option<Change>,
}

impl<'a> Planner<'a> {
    /// Builds the indexes and correlates people with accounts.
    #[must_use]
    pub fn new(input: Input<'a>) -> Self {
        let accounts = AccountKeys::new(input.accounts, input.policy.account_keys());
        let (seats, relinked) = seats(&accounts, input.people, &input.policy.correlate, input.known);
        let resolver = Resolver::new(input.people, input.policy);
        let excluded = Names::new(&input.policy.exclude);
        let meant = Vec::with_capacity(input.people.len());
        let mut planner = Self { input, accounts, resolver, seats, relinked, excluded, looked_up: None, meant };
        for (ix, person) in input.people.iter() {
            let ours = planner.ours(ix);
            planner.meant.push(ours.map(|_| planner.resolver.resolve_live(person, &planner.accounts).0));
        }
        planner
    }

    /// The distinct references to look up in Okta: of people who might be written, those that lead nowhere.
    #[must_use]
    pub fn unresolved(&self) -> Vec<Lookup> {
        let mut lookups = Vec::new();
        for (ix, person) in self.input.people.iter() {
            if self.meant[ix.0 as usize] != Ok(Meant::Nobody) {
                continue;
            }
            let given = self.resolver.values(person).filter(|(_, value)| !value.is_empty() && !is_placeholder(value));
            let in_okta = given.filter(|(rule, _)| rule.is.is_in_okta());
            lookups.extend(in_okta.map(|(rule, value)| Lookup { is: rule.is, value: value.to_owned() }));
        }
        lookups.sort_by_cached_key(|lookup| (lookup.is, fold(&lookup.value).into_owned()));
        lookups.dedup_by(|a, b| {
            a.is == b.is && if a.is == RefersTo::Id { a.value == b.value } else { same(&a.value, &b.value) }
        });
        lookups
    }

    /// Plans. `looked_up` are the people whom the [`unresolved`](Self::unresolved) references found; they count only as
    /// managers, and only where nobody of the listing answers.
    pub fn plan(&mut self, looked_up: &'a People) -> Plan {
        self.looked_up = Some(looked_up);
        self.resolver.looked_up = Some(PersonKeys::new(looked_up, self.input.policy, |_| true));
        let mut plan = Plan { relinked: self.relinked.clone(), ..Plan::default() };
        plan.verdicts.reserve_exact(self.input.people.len());
        plan.tally.people = self.input.people.len() as u64;
        plan.tally.accounts = self.input.accounts.len() as u64;
        plan.tally.with_reference = with_reference(self.input.people, self.input.policy);
        for (ix, _) in self.input.people.iter() {
            let Judgement { verdict, change } = self.judge(ix);
            plan.tally.in_scope += u64::from(is_in_scope(verdict.reason));
            plan.verdicts.push(verdict);
            plan.changes.extend(change);
        }
        plan.links = self.new_links();
        self.refuse_cycles(&mut plan);
        for (ix, _) in self.input.people.iter() {
            plan.verdicts[ix.0 as usize].facts = self.facts(ix, &plan.verdicts[ix.0 as usize]);
        }
        count(&mut plan);
        plan
    }

    /// Holds what is over its limit. The rest stays in the plan, checked for cycles by itself and in order; verdicts and
    /// tally follow. `written_last_day` leaves out approved plans.
    pub fn brake(&self, plan: &mut Plan, limits: &Brake, written_last_day: &Kinds) -> Braked {
        let mut braked = brake(&plan.changes, limits, plan.tally.in_scope, written_last_day);
        if braked.holds.is_empty() {
            return braked;
        }
        for change in &braked.held {
            plan.verdicts[change.person.0 as usize].reason = Reason::Held;
        }
        plan.changes = std::mem::take(&mut braked.free);
        self.refuse_cycles(plan);
        count(plan);
        for change in &braked.held {
            plan.tally.planned.add(change.kind);
            plan.tally.held.add(change.kind);
        }
        plan.tally.reasons.remove(&Reason::Held);
        braked.free.clone_from(&plan.changes);
        braked
    }

    /// The chains that the plan was checked against, for the loop that applies it.
    #[must_use]
    pub fn chains(&self) -> Chains {
        Chains::with_own_writes(self.input.accounts, &self.input.known.own_writes)
    }

    fn refuse_cycles(&self, plan: &mut Plan) {
        if plan.changes.is_empty() {
            return;
        }
        let chains = self.chains();
        let (mut kept, refused) = chains.lint(self.input.accounts, &plan.changes);
        chains.order(self.input.accounts, &mut kept);
        plan.changes = kept;
        for change in refused {
            plan.verdicts[change.person.0 as usize].reason = Reason::ClosesCycle;
        }
    }

    fn new_links(&self) -> Vec<(PersonIx, AccountIx)> {
        let seats = self.input.people.iter().zip(&self.seats);
        let found = seats.filter(|((_, person), seat)| person.status().is_employed() && seat.hold == Hold::ByRule);
        found.filter_map(|((ix, _), seat)| Some((ix, seat.account()?))).collect()
    }

    fn listed_as_ours(&self, ix: PersonIx) -> Result<(), Reason> {
        let person = self.input.people.get(ix);
        match person.status() {
            PersonStatus::Unknown => return Err(Reason::UnknownStatus),
            status if !status.is_employed() => return Err(Reason::InactiveInOkta),
            _ => {}
        }
        if !self.input.scope.contains(person.id()) {
            return Err(Reason::OutOfScope);
        }
        if self.is_excluded(ix) { Err(Reason::Excluded) } else { Ok(()) }
    }

    /// The account of a person who may be written, or why not.
    fn ours(&self, ix: PersonIx) -> Result<AccountIx, Reason> {
        self.listed_as_ours(ix)?;
        let seat = self.seats[ix.0 as usize];
        match seat.hold {
            Hold::Nothing => Err(Reason::NoAccount),
            Hold::Ambiguous => Err(Reason::AmbiguousAccount),
            Hold::Conflicting | Hold::Lost => Err(Reason::ConflictingPeople),
            Hold::Linked | Hold::ByRule => seat.account().ok_or(Reason::NoAccount),
        }
    }

    pub(super) fn is_excluded(&self, ix: PersonIx) -> bool {
        if self.excluded.is_empty() {
            return false;
        }
        let account = self.seats[ix.0 as usize].account().map(|account| self.input.accounts.get(account));
        self.excluded.name_person(self.input.people, ix) || account.is_some_and(|it| self.excluded.name_account(it))
    }

    fn judge(&self, ix: PersonIx) -> Judgement {
        let left =
            |reason, account, manager| Judgement { verdict: Verdict::new(reason, account, manager), change: None };
        let seat = self.seats[ix.0 as usize];
        let (meant, account) = match (self.meant[ix.0 as usize], seat.account()) {
            (Ok(meant), Some(account)) => (meant, account),
            (meant, _) => return left(meant.err().unwrap_or(Reason::NoAccount), seat.found(), None),
        };
        let from = self.observed(account);
        let to = match self.desired(ix, meant, account, from) {
            Ok(to) => to,
            Err((reason, manager)) => return left(reason, Some(account), manager),
        };
        let to_id = to.map(|to| self.input.accounts.get(to).id());
        let reason = self.reason_against(ix, account, from, to_id).unwrap_or(Reason::Planned);
        let kind = match (from, to) {
            (_, None) => ChangeKind::Clear,
            (None, Some(_)) => ChangeKind::Set,
            (Some(_), Some(_)) => ChangeKind::Change,
        };
        let change = Change { person: ix, account, kind, from, to: to_id };
        Judgement {
            verdict: Verdict::new(reason, Some(account), to),
            change: (reason == Reason::Planned).then_some(change),
        }
    }

    /// Why a person whose desired manager is known is left alone all the same.
    fn reason_against(
        &self,
        ix: PersonIx,
        account: AccountIx,
        from: Option<AccountId>,
        to: Option<AccountId>,
    ) -> Option<Reason> {
        let own = self.own_write(account);
        if own.is_some_and(|write| write.open) {
            return Some(Reason::Stale);
        }
        if from == to {
            return Some(Reason::Agreed);
        }
        if self.input.accounts.get(account).is_mastered_on_premises() {
            return Some(Reason::MasteredOnPremises);
        }
        let park = self.input.known.parked.get(self.input.people.get(ix).id());
        if let Some(park) = park.filter(|park| park.desired == to) {
            return Some(park.reason);
        }
        own.is_some_and(|write| write.to == to && write.confirmed >= 2).then_some(Reason::Contested)
    }

    fn own_write(&self, account: AccountIx) -> Option<&'a OwnWrite> {
        let writes = &self.input.known.own_writes;
        if writes.is_empty() { None } else { writes.get(&self.input.accounts.get(account).id()) }
    }

    /// The account's manager, by what was read or by what we wrote just now.
    pub(super) fn observed(&self, account: AccountIx) -> Option<AccountId> {
        let fresh = self.own_write(account).filter(|write| write.recent);
        fresh.map_or_else(|| self.input.accounts.get(account).manager(), |write| write.to)
    }

    /// The manager that Okta wants; `None` when an observed one is to be cleared.
    fn desired(
        &self,
        ix: PersonIx,
        meant: Meant,
        account: AccountIx,
        observed: Option<AccountId>,
    ) -> Result<Option<AccountIx>, (Reason, Option<AccountIx>)> {
        let clears = observed.is_some() && self.input.policy.when_empty == WhenEmpty::Clear;
        let meant = match meant {
            Meant::Nobody => self.resolver.resolve_departed(self.input.people.get(ix)).0,
            meant => meant,
        };
        let manager = match meant {
            Meant::NotGiven | Meant::Placeholder if clears => return Ok(None),
            Meant::NotGiven => Err(Reason::ManagerNotGiven),
            Meant::Placeholder => Err(Reason::ManagerPlaceholder),
            Meant::Nobody => Err(Reason::ManagerNotFound),
            Meant::Several => Err(Reason::ManagerAmbiguous),
            Meant::Account(manager) => Ok(manager),
            Meant::Person(manager) => self.listed_manager(manager),
            Meant::LookedUp(manager) => self.looked_up_manager(manager),
        };
        let manager = manager.map_err(|reason| (reason, None))?;
        self.fit(account, manager).map_or(Ok(Some(manager)), |reason| Err((reason, Some(manager))))
    }

    /// Why an account is not fit to be the manager of another.
    fn fit(&self, account: AccountIx, manager: AccountIx) -> Option<Reason> {
        let policy = self.input.policy;
        let candidate = self.input.accounts.get(manager);
        if manager == account {
            Some(Reason::SelfManager)
        } else if !candidate.is_enabled() && policy.manager_disabled == Unfit::Keep {
            Some(Reason::ManagerDisabled)
        } else if candidate.is_guest() && policy.manager_is_guest == Unfit::Keep {
            Some(Reason::ManagerIsGuest)
        } else {
            None
        }
    }

    fn listed_manager(&self, manager: PersonIx) -> Result<AccountIx, Reason> {
        let seat = self.seats[manager.0 as usize];
        if self.has_left(self.input.people.get(manager).status()) {
            return Err(Reason::ManagerDisabled);
        }
        match seat.hold {
            Hold::Ambiguous | Hold::Conflicting => Err(Reason::ManagerAmbiguous),
            Hold::Nothing | Hold::Lost => Err(Reason::ManagerHasNoAccount),
            Hold::Linked | Hold::ByRule => seat.account().ok_or(Reason::ManagerHasNoAccount),
        }
    }

    fn looked_up_manager(&self, manager: PersonIx) -> Result<AccountIx, Reason> {
        let people = self.looked_up.expect("somebody was looked up");
        let person = people.get(manager);
        if self.has_left(person.status()) {
            return Err(Reason::ManagerDisabled);
        }
        let link = self.input.known.links.get(person.id());
        if link.is_some_and(|account| self.input.known.missing.contains(&account)) {
            return Err(Reason::ManagerHasNoAccount);
        }
        let linked = link.and_then(|account| self.input.accounts.find(account));
        let found =
            linked.map_or_else(|| self.accounts.by_rules(&self.input.policy.correlate, people, person), Found::One);
        match found {
            Found::Nothing => Err(Reason::ManagerHasNoAccount),
            Found::Several => Err(Reason::ManagerAmbiguous),
            Found::One(account) => Ok(account),
        }
    }

    fn has_left(&self, status: PersonStatus) -> bool {
        status == PersonStatus::Deprovisioned && self.input.policy.manager_disabled == Unfit::Keep
    }

    /// A digest of all that was seen of a person.
    fn facts(&self, ix: PersonIx, verdict: &Verdict) -> u64 {
        let person = self.input.people.get(ix);
        let mut digest = Digest::new();
        digest.text(person.id().as_bytes());
        digest.word(person.status() as u64);
        for column in 0..self.input.people.columns().len() {
            digest.text(person.value(column).as_bytes());
        }
        let account = verdict.account().map(|account| (account, self.input.accounts.get(account)));
        digest.text(account.map_or("", |(_, account)| account.user_principal_name()).as_bytes());
        add_id(&mut digest, account.map(|(_, account)| account.id()));
        add_id(&mut digest, account.and_then(|(ix, _)| self.observed(ix)));
        add_id(&mut digest, verdict.manager().map(|manager| self.input.accounts.get(manager).id()));
        digest.finish()
    }
}

/// Whether a verdict is on a person whom the job may write, as far as Okta's side goes.
const fn is_in_scope(reason: Reason) -> bool {
    !matches!(reason, Reason::UnknownStatus | Reason::InactiveInOkta | Reason::OutOfScope | Reason::Excluded)
}

/// Counts what is planned and why people are left alone.
fn count(plan: &mut Plan) {
    plan.tally.planned = Kinds::default();
    plan.changes.iter().for_each(|change| plan.tally.planned.add(change.kind));
    let mut reasons = [0_u64; Reason::ALL.len()];
    for verdict in plan.verdicts.iter().filter(|verdict| verdict.reason != Reason::Planned) {
        reasons[verdict.reason as usize] += 1;
    }
    let counted = Reason::ALL.iter().copied().zip(reasons);
    plan.tally.reasons = counted.filter(|(_, people)| *people > 0).collect();
}
