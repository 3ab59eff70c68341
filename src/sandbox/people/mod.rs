//! Makes an org out of a number and a seed: a management tree that looks real, an Entra tenant that is a little
//! behind it, and, unless told otherwise, somebody for every reason to be left alone.
//!
//! The same options are the same world, down to the ids.

mod cast;
mod names;
mod tenant;

use uuid::Uuid;

use crate::sandbox::model::State;
use crate::sandbox::model::entra::Account;
use crate::sandbox::model::okta::{App, AppUser, Group, User};
use crate::sandbox::options::Drift;

pub(crate) use tenant::{
    ADMINISTRATOR, API_TOKEN, APP_CERTIFICATE, APP_CLIENT, APP_PRIVATE_KEY, APP_SECRET, OKTA_CLIENT, OKTA_EC_KEY,
    OKTA_EC_PRIVATE_KEY, OKTA_KEY, OKTA_PRIVATE_KEY, USER_CLIENT, WORKLOAD_AUDIENCE, WORKLOAD_ISSUER,
    WORKLOAD_PRIVATE_KEY, WORKLOAD_SUBJECT, furnish,
};

/// The company's mail domain.
pub const DOMAIN: &str = "corp.example";

/// From so many people on, those of the cast are part of the number; a smaller org gets them on top.
const CAST_FITS: u32 = 60;

/// 1 January 2024, in milliseconds since 1970: when the first person was hired.
pub(crate) const EPOCH: i64 = 1_704_067_200_000;

/// A world with what a configuration for it has to name.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) state: State,
    /// The login of somebody who must be in every listing.
    pub(crate) canary: Option<String>,
    /// The id of the group that is the scope, when not everybody is in scope.
    pub(crate) scope: Option<String>,
    /// Who is never written for.
    pub(crate) exclude: Vec<String>,
    /// How many accounts drifted: sets, changes, clears, those of the cast apart.
    pub(crate) drifted: (u32, u32, u32),
}

/// A person on the way into both directories.
#[derive(Clone, Debug)]
struct Pair {
    user: User,
    account: Option<Account>,
}

/// Dice and ids.
#[derive(Debug)]
pub(crate) struct Dice(fastrand::Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed ^ 0x6f6b_7461))
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.0.u128(..).to_be_bytes()).into_uuid()
    }

    /// An Okta id: 20 characters that begin with the prefix of its kind.
    pub(crate) fn okta_id(&mut self, prefix: &str) -> String {
        let rest = std::iter::repeat_with(|| self.0.alphanumeric()).take(20 - prefix.len());
        prefix.chars().chain(rest).collect()
    }

    /// Whether something happens that has this chance, in percent.
    fn percent(&mut self, chance: u8) -> bool {
        self.0.u8(0..100) < chance
    }
}

/// Makes the world of `people` people.
pub(crate) fn generate(people: u32, drift: &Drift, seed: u64) -> Made {
    let mut dice = Dice::new(seed);
    let mut made = Made::default();
    furnish(&mut made.state);
    if people == 0 {
        made.state.entra.seal();
        return made;
    }
    let on_stage = if drift.dirt { cast::SIZE } else { 0 };
    let regular = if people >= CAST_FITS { people - on_stage } else { people };
    let mut pairs = tree(regular, drift.dirt, &mut dice);
    made.drifted = apart(&mut pairs, people, drift, &mut dice);
    made.canary = pairs.first().map(|pair| pair.user.login().to_owned());
    let mut strangers = Vec::new();
    let mut outside = Vec::new();
    if drift.dirt {
        let play = cast::play(&pairs, &mut dice);
        outside = play.outside;
        made.exclude = play.excluded;
        strangers = play.strangers;
        pairs.extend(play.pairs);
        for (moment, happening) in play.incidents {
            made.state.entra.plan_incident(moment, happening);
        }
    }
    settle(&mut made, pairs, strangers, &outside, &mut dice);
    made.state.entra.seal();
    made
}

/// The regular people: a tree with five to nine reports a manager, both sides agreed.
fn tree(people: u32, untidy: bool, dice: &mut Dice) -> Vec<Pair> {
    let mut names = names::Names::default();
    let mut pairs: Vec<Pair> = Vec::with_capacity(people as usize);
    let mut boss = 0_usize;
    let mut places = 0_u32;
    for index in 0..people {
        let mut pair = person(&names.next(dice), index, dice);
        if index > 0 {
            if places == 0 {
                boss = if index == 1 { 0 } else { boss + 1 };
                places = dice.0.u32(5..10);
            }
            places -= 1;
            report_to(&mut pair, &pairs[boss], untidy, dice);
        }
        if untidy {
            crease(&mut pair, dice);
        }
        pairs.push(pair);
    }
    pairs
}

/// A person with an account, without a manager.
fn person(name: &names::Name, index: u32, dice: &mut Dice) -> Pair {
    let login = format!("{}@{DOMAIN}", name.handle);
    let number = (10_000 + index).to_string();
    let hired = EPOCH + i64::from(index % 500) * 86_400_000;
    let mut user = User {
        id: dice.okta_id("00u").into(),
        status: "ACTIVE".into(),
        created: hired,
        last_updated: hired,
        ..User::default()
    };
    let display = format!("{} {}", name.first, name.last);
    for (key, value) in [
        ("login", login.as_str()),
        ("email", &login),
        ("firstName", name.first),
        ("lastName", name.last),
        ("displayName", &display),
        ("employeeNumber", &number),
        ("department", names::department(index)),
        ("userType", "Employee"),
    ] {
        user.profile.set(key, value);
    }
    let account = Account {
        id: dice.uuid(),
        user_principal_name: login.as_str().into(),
        display_name: display.into(),
        given_name: Some(name.first.into()),
        surname: Some(name.last.into()),
        mail: Some(login.as_str().into()),
        proxy_addresses: [format!("SMTP:{login}").into()].into(),
        employee_id: Some(number.into()),
        enabled: true,
        created: hired,
        ..Account::default()
    };
    Pair { user, account: Some(account) }
}

/// Makes `boss` the manager of `pair` on both sides. Untidy orgs leave one of the two references out now and then.
fn report_to(pair: &mut Pair, boss: &Pair, untidy: bool, dice: &mut Dice) {
    name_manager(pair, boss);
    if untidy && dice.percent(20) {
        pair.user.profile.set("managerEmail", "");
    }
    if let (Some(account), Some(manager)) = (&mut pair.account, &boss.account) {
        account.manager = Some(manager.id);
    }
}

/// Writes the manager into Okta alone.
fn name_manager(pair: &mut Pair, boss: &Pair) {
    let display = boss.user.profile.text("displayName").unwrap_or_default().to_owned();
    pair.user.profile.set("manager", display);
    pair.user.profile.set("managerId", boss.user.login());
    pair.user.profile.set("managerEmail", boss.user.email());
}

/// Differences of spelling that mean nothing.
fn crease(pair: &mut Pair, dice: &mut Dice) {
    if let Some(account) = pair.account.as_mut().filter(|_| dice.percent(5)) {
        let (local, domain) = account.user_principal_name.split_once('@').expect("made with an @");
        let local: Vec<String> = local.split('.').map(capitalize).collect();
        account.user_principal_name = format!("{}@{domain}", local.join(".")).into();
    }
    let manager = pair.user.profile.text("managerId").map(str::to_owned);
    if let Some(manager) = manager.filter(|_| dice.percent(4)) {
        let spelled = if dice.0.bool() { format!("{manager} ") } else { manager.to_uppercase() };
        pair.user.profile.set("managerId", spelled);
    }
    match dice.0.u8(0..100) {
        0..2 => pair.user.status = "PASSWORD_EXPIRED".into(),
        2..4 => pair.user.status = "LOCKED_OUT".into(),
        4 => pair.user.status = "RECOVERY".into(),
        5 => pair.user.status = "SUSPENDED".into(),
        6 => pair.user.status = "PROVISIONED".into(),
        7 => pair.user.profile.set("costCenters", serde_json::json!(["C100", "C200"])),
        // People hired by an acquisition still sign in under the old name; the account has the new one.
        8 => {
            let renamed = pair.user.login().replace(DOMAIN, "old.example");
            pair.user.profile.set("login", renamed);
        }
        _ => {}
    }
}

fn capitalize(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Lets Entra drift away from Okta: so many sets, changes and clears, each on a person of its own.
fn apart(pairs: &mut [Pair], people: u32, drift: &Drift, dice: &mut Dice) -> (u32, u32, u32) {
    let mut managed: Vec<usize> = (1..pairs.len()).collect();
    dice.0.shuffle(&mut managed);
    let mut managed = managed.into_iter();
    let mut take = |percent| managed.by_ref().take(Drift::count(percent, people) as usize).collect::<Vec<usize>>();
    let (sets, changes, clears) = (take(drift.sets), take(drift.changes), take(drift.clears));
    let managers: std::collections::HashMap<Uuid, Option<Uuid>> =
        pairs.iter().filter_map(|pair| pair.account.as_ref()).map(|account| (account.id, account.manager)).collect();
    let top: Vec<Uuid> =
        pairs.iter().filter_map(|pair| pair.account.as_ref()).map(|account| account.id).take(4).collect();
    for index in &sets {
        account_of(&mut pairs[*index]).manager = None;
    }
    for index in &changes {
        let account = account_of(&mut pairs[*index]);
        let above = account.manager.and_then(|manager| managers[&manager]);
        // The manager's manager, or for those directly below the top one of their peers.
        let other = above.or_else(|| top.iter().copied().skip(1).find(|peer| *peer != account.id));
        account.manager = other;
    }
    for index in &clears {
        let profile = &mut pairs[*index].user.profile;
        profile.unset("manager");
        profile.set("managerId", "");
        profile.set("managerEmail", "");
    }
    let count = |list: &[usize]| u32::try_from(list.len()).expect("at most a million people");
    (count(&sets), count(&changes), count(&clears))
}

fn account_of(pair: &mut Pair) -> &mut Account {
    pair.account.as_mut().expect("regular people have accounts")
}

/// Moves everybody into the directories: users as hired, accounts in an order of their own.
fn settle(made: &mut Made, pairs: Vec<Pair>, strangers: Vec<Account>, outside: &[String], dice: &mut Dice) {
    let mut accounts = strangers;
    let mut members = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let inside = !pair.user.is_deprovisioned() && !outside.iter().any(|login| login == pair.user.login());
        let row = made.state.okta.add(pair.user);
        if inside {
            members.push(row);
        }
        accounts.extend(pair.account);
    }
    dice.0.shuffle(&mut accounts);
    for account in accounts {
        made.state.entra.add(account);
    }
    let group = Group {
        id: dice.okta_id("00g"),
        name: "Microsoft 365 staff".to_owned(),
        description: "Everybody with a Microsoft 365 account of ours".to_owned(),
        members,
    };
    if !outside.is_empty() {
        made.scope = Some(group.id.clone());
    }
    let users = group.members.iter().map(|row| AppUser { user: *row, ..AppUser::default() }).collect();
    made.state.okta.apps.push(App { users, ..App::office365(&dice.okta_id("0oa"), DOMAIN) });
    made.state.okta.groups.push(group);
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// What a reader of both sides, joined by employee number, would call drift.
    fn drift_of(made: &Made) -> (u32, u32, u32) {
        let okta = &made.state.okta;
        let accounts: HashMap<&str, &Account> =
            made.state.entra.iter().filter_map(|account| Some((account.employee_id.as_deref()?, account))).collect();
        let account = |user: &User| accounts[user.profile.text("employeeNumber").unwrap()];
        let (mut sets, mut changes, mut clears) = (0, 0, 0);
        for user in okta.iter() {
            let manager = user.profile.text("managerId").unwrap_or_default().trim();
            let desired = okta.by_login(manager).map(|row| account(okta.at(row).unwrap()).id);
            match (desired, account(user).manager) {
                (Some(_), None) => sets += 1,
                (None, Some(_)) => clears += 1,
                (desired, observed) if desired != observed => changes += 1,
                _ => {}
            }
        }
        (sets, changes, clears)
    }

    #[test]
    fn the_same_seed_is_the_same_world_and_another_is_another() {
        let ids = |seed| -> Vec<String> {
            let made = generate(200, &Drift::default(), seed);
            let users = made.state.okta.iter().map(|user| format!("{user:?}"));
            users.chain(made.state.entra.iter().map(|account| format!("{account:?}"))).collect()
        };
        assert_eq!(ids(7), ids(7));
        assert_ne!(ids(7), ids(8));
    }

    #[test]
    fn without_drift_both_sides_agree() {
        let made = generate(500, &Drift::none(), 3);
        assert_eq!(made.state.okta.len(), 500);
        assert_eq!(drift_of(&made), (0, 0, 0));
    }

    #[test]
    fn drift_is_as_large_as_ordered() {
        for people in [12, 100, 1_000] {
            let drift = Drift { sets: 3.0, changes: 2.0, clears: 1.0, dirt: false };
            let made = generate(people, &drift, 5);
            let expected = (Drift::count(3.0, people), Drift::count(2.0, people), Drift::count(1.0, people));
            assert_eq!(made.drifted, expected);
            assert_eq!(drift_of(&made), expected, "{people} people");
        }
    }

    #[test]
    fn an_org_has_as_many_live_people_as_ordered() {
        let made = generate(200, &Drift::default(), 1);
        assert_eq!(made.state.okta.iter().filter(|user| !user.is_deprovisioned()).count(), 200);
        assert_eq!(made.state.okta.iter().filter(|user| user.is_deprovisioned()).count(), 1);
        let small = generate(12, &Drift::default(), 1);
        assert_eq!(small.state.okta.len(), 12 + cast::SIZE as usize + 1);
    }

    #[test]
    fn ids_look_like_the_vendors() {
        let made = generate(12, &Drift::none(), 1);
        assert!(made.state.okta.iter().all(|user| user.id.len() == 20 && user.id.starts_with("00u")));
        assert!(made.state.entra.iter().all(|account| account.id.get_version_num() == 4));
    }
}
