//! How far the rules lead over a sample of people, and whose managers cannot be written.

use std::fmt::Write as _;

use crate::doctor::finding::{Check, Finding, Severity, Turn, percent};
use crate::doctor::judge::{counted, days};
use crate::doctor::observed::{Facts, Observed, Trouble};
use crate::doctor::sample::{Sample, Tried};
use crate::reconcile::policy::ManagerRule;

/// Percent of people from which on references, or accounts, are as they should be.
const GOOD: usize = 95;
/// Below so many it is worth a warning.
const POOR: usize = 80;
/// Below so many the rules are wrong.
const WRONG: usize = 20;
/// Of fewer people nothing can be said.
const ENOUGH: usize = 5;

pub(super) fn resolvers(facts: &Facts, seen: &Observed) -> Vec<Finding> {
    let judged = seen.samples.iter().map(|sample| match sample {
        Ok(sample) => resolver(sample),
        Err((job, trouble)) => not_sampled(job, trouble),
    });
    let is_known = |name: &String| {
        let of = |sample: &Result<Sample, (String, Trouble)>| match sample {
            Ok(sample) => sample.job == *name,
            Err((job, _)) => job == name,
        };
        seen.samples.iter().any(of)
    };
    let managers = facts.jobs.iter().filter(|job| job.managers.is_some() && !is_known(&job.name));
    let not_checked = managers.map(|job| {
        let what = "not checked: one of the two sides, or the scope, could not be read";
        Finding::note(Check::Resolver, &job.name, what)
    });
    judged.chain(not_checked).collect()
}

fn not_sampled(job: &str, trouble: &Trouble) -> Finding {
    let finding = Finding::note(Check::Resolver, job, format!("not checked: {}", trouble.message));
    match &trouble.hint {
        Some(hint) => finding.remedy(hint),
        None => finding,
    }
}

fn resolver(sample: &Sample) -> Finding {
    let job = &sample.job;
    if sample.with_reference == 0 {
        return without_reference(sample);
    }
    let share = percent(sample.resolved, sample.with_reference);
    let finding = match by_share(Check::Resolver, job, (share, sample.with_reference), shares(sample)) {
        better if sample.better.is_some() && better.severity > Severity::Warning => {
            Finding::warning(Check::Resolver, job, better.what)
        }
        finding => finding,
    };
    if let Some((rules, count)) = &sample.better {
        let better = percent(*count, sample.with_reference);
        return finding
            .remedy(format!(
                "rules that lead {better} % to somebody: put them into `[jobs.{job}]`, then look at a plan"
            ))
            .grant(lines(rules));
    }
    let remedy = match absent(sample) {
        Some(absent) => absent,
        None if share >= GOOD => return finding,
        None => {
            format!("`graphkeeper plan {job}`, then `graphkeeper explain USER` tells whose reference leads nowhere")
        }
    };
    finding.remedy(remedy)
}

/// A finding as bad as a share of so many people is small.
fn by_share(check: Check, job: &str, (share, of): (usize, usize), what: String) -> Finding {
    if share < WRONG && of >= ENOUGH {
        Finding::problem(Turn::Configuration, check, job, what)
    } else if share < POOR {
        Finding::warning(check, job, what)
    } else if share < GOOD {
        Finding::note(check, job, what)
    } else {
        Finding::ok(check, job, what)
    }
}

fn without_reference(sample: &Sample) -> Finding {
    let (job, count) = (&sample.job, sample.people);
    if count < ENOUGH {
        let what = format!("not checked: {} in the sample, none with a manager reference", people(count));
        return Finding::note(Check::Resolver, job, what);
    }
    let what = format!("none of {} in the sample has a manager reference: a run would plan nothing", people(count));
    let usual = "fill the attributes that `manager` names, or name others; see Directory, Profile Editor, in Okta";
    let remedy = absent(sample).unwrap_or_else(|| usual.to_owned());
    Finding::problem(Turn::Configuration, Check::Resolver, job, what).remedy(remedy)
}

/// What the configured attributes lack.
fn absent(sample: &Sample) -> Option<String> {
    let name = |(name, near): &(String, Option<String>)| {
        let near = near.as_ref().map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
        format!("nobody in the sample has an attribute `{name}`{near}")
    };
    let names: Vec<String> = sample.absent.iter().map(name).collect();
    (!names.is_empty()).then(|| names.join("; "))
}

/// `managerEmail as email: 94 %; managerId as login: 61 %; together 96 % of 200 people with a reference`.
fn shares(sample: &Sample) -> String {
    let share = |tried: &Tried| {
        let share = percent(tried.resolved, sample.with_reference);
        format!("{} as {}: {share} %", tried.rule.attribute, tried.rule.is)
    };
    let of = |configured: bool| {
        let tried = sample.tried.iter().filter(move |tried| tried.configured == configured);
        tried.map(share).collect::<Vec<_>>().join("; ")
    };
    let together = percent(sample.resolved, sample.with_reference);
    let mut text = format!("{}; together {together} % of {} with a reference", of(true), people(sample.with_reference));
    if sample.several > 0 {
        let _ = write!(text, "; {} to several", people(sample.several));
    }
    if sample.left_out > 0 {
        let _ = write!(text, "; {} were not looked up, there are too many", references(sample.left_out));
    }
    let others = of(false);
    if others.is_empty() { text } else { format!("{text} (not in the file: {others})") }
}

/// Rules as the file has them.
fn lines(rules: &[ManagerRule]) -> String {
    let rule = |rule: &ManagerRule| format!("{{ attribute = \"{}\", is = \"{}\" }}", rule.attribute, rule.is);
    format!("manager = [ {} ]", rules.iter().map(rule).collect::<Vec<_>>().join(", "))
}

/// `1 person`, `2 people`.
fn people(count: usize) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{count} people") }
}

fn references(count: usize) -> String {
    if count == 1 { "1 reference".to_owned() } else { format!("{count} references") }
}

pub(super) fn correlations(seen: &Observed) -> Vec<Finding> {
    seen.samples.iter().flatten().filter(|sample| sample.people > 0).map(correlation).collect()
}

fn correlation(sample: &Sample) -> Finding {
    let (job, found) = (&sample.job, sample.correlated);
    let share = percent(found.one, sample.people);
    let mut what = format!("{share} % of {} have exactly one account", people(sample.people));
    for (count, how) in [(found.none, "none"), (found.several, "several")] {
        if count > 0 {
            let _ = write!(what, "; {} {how}", people(count));
        }
    }
    let finding = by_share(Check::Correlation, job, (share, sample.people), what);
    if share >= POOR {
        return finding;
    }
    finding.remedy("look at `correlate`: which attribute of an account equals which of a person")
}

/// How many accounts another directory masters.
pub(super) fn on_premises(seen: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(Ok(listed)) = seen.accounts.as_ref().filter(|listed| !matches!(listed, Ok(0))) {
        findings.push(mastered(seen.mastered, *listed));
    }
    if let Some(Ok(organization)) = &seen.organization
        && let (Some(true), Some(last)) = (organization.synchronized, organization.last_synchronized)
        && days(last, seen.now) >= 1
    {
        let ago = counted(days(last, seen.now), "day");
        let what = format!("the directory on premises was last synchronized {ago} ago");
        let remedy = "look at Entra Connect: accounts that were made since are missing here";
        findings.push(Finding::note(Check::OnPremises, "synchronization", what).remedy(remedy));
    }
    findings
}

fn mastered(mastered: usize, listed: usize) -> Finding {
    let about = "accounts";
    if mastered == 0 {
        return Finding::ok(Check::OnPremises, about, format!("none of {listed} is mastered on premises"));
    }
    let share = percent(mastered, listed);
    let what =
        format!("{mastered} of {listed} ({share} %) are mastered on premises: their managers are left as they are");
    let remedy = "write their managers in the directory that masters them; or move the source of authority of an account to \
                  the cloud (`isCloudManaged`), which this program never does";
    let finding = if mastered == listed {
        Finding::warning(Check::OnPremises, about, what)
    } else {
        Finding::note(Check::OnPremises, about, what)
    };
    finding.remedy(remedy)
}
