-- The stable interface for people with `sqlite3` and for reports: names and meanings of these columns do not change.
-- Times are ISO 8601 in UTC.

-- A row a run. `outcome` is `running` while it lasts.
create view run_summary as
select id,
       job,
       kind,
       trigger,
       caller,
       strftime('%Y-%m-%dT%H:%M:%SZ', started_at / 1000, 'unixepoch') as started,
       strftime('%Y-%m-%dT%H:%M:%SZ', ended_at / 1000, 'unixepoch') as ended,
       (ended_at - started_at) / 1000.0 as seconds,
       coalesce(outcome, 'running') as outcome,
       reason,
       message,
       hint,
       unresolved,
       json_extract(tally, '$.people') as people,
       json_extract(tally, '$.planned.set') + json_extract(tally, '$.planned.change') + json_extract(tally, '$.planned.clear') as planned,
       json_extract(tally, '$.held.set') + json_extract(tally, '$.held.change') + json_extract(tally, '$.held.clear') as held,
       json_extract(tally, '$.accepted.set') + json_extract(tally, '$.accepted.change') + json_extract(tally, '$.accepted.clear') as accepted,
       json_extract(tally, '$.confirmed.set') + json_extract(tally, '$.confirmed.change') + json_extract(tally, '$.confirmed.clear') as confirmed,
       tally,
       config_fingerprint
  from run;

-- A row a write of a manager. `state` is the latest known: intended, accepted, refused, unknown, confirmed, unconfirmed,
-- written, not_written or overtaken.
create view manager_change as
select change.id,
       change.run,
       change.job,
       run.trigger,
       strftime('%Y-%m-%dT%H:%M:%SZ', change.intent_at / 1000, 'unixepoch') as time,
       change.person,
       change.login,
       change.account,
       change.upn,
       change.kind,
       change.from_account as old_manager,
       change.from_label as old_manager_name,
       change.to_account as new_manager,
       change.to_label as new_manager_name,
       coalesce(change.settled, change.answer, 'intended') as state,
       change.status,
       change.code,
       change.message,
       change.request_id,
       change.client_request_id
  from change
  join run on run.id = change.run;

-- A row a decision about a person. `standing` is 1 for the one that holds now; `last_run` is then the last full run.
create view user_decision as
select decision.job,
       decision.person,
       decision.login,
       decision.upn,
       decision.account,
       decision.reason,
       decision.last_run is null as standing,
       decision.first_run,
       strftime('%Y-%m-%dT%H:%M:%SZ', decision.first_at / 1000, 'unixepoch') as first_time,
       coalesce(decision.last_run, pass.run, decision.first_run) as last_run,
       strftime('%Y-%m-%dT%H:%M:%SZ', coalesce(decision.last_at, pass.at, decision.first_at) / 1000, 'unixepoch') as last_time,
       decision.evidence
  from decision
  left join decision_pass as pass on pass.job = decision.job and pass.at >= decision.first_at;

-- The latest reading of the tenant's licenses, a row a product. `free` counts seats in their
-- grace period too and is negative when more is assigned.
create view license_latest as
select strftime('%Y-%m-%dT%H:%M:%SZ', reading.at / 1000, 'unixepoch') as time,
       license.sku,
       license.part_number,
       license.name,
       license.status,
       license.bought,
       license.assigned,
       license.bought + license.warning - license.assigned as free,
       license.warning,
       license.suspended,
       license.locked_out,
       (select strftime('%Y-%m-%dT%H:%M:%SZ', min(subscription.next_lifecycle) / 1000, 'unixepoch')
          from subscription_snapshot as subscription
         where subscription.run = license.run and subscription.sku = license.sku) as next_lifecycle,
       (select max(subscription.trial)
          from subscription_snapshot as subscription
         where subscription.run = license.run and subscription.sku = license.sku) as trial
  from license_snapshot as license
  join license_reading as reading on reading.run = license.run
 where license.run = (select run from license_reading order by at desc, rowid desc limit 1);

-- A row a scheduled moment at which the job did not run.
create view missed_run as
select job,
       strftime('%Y-%m-%dT%H:%M:%SZ', planned_at / 1000, 'unixepoch') as planned,
       disposition,
       reason,
       run as covered_by,
       strftime('%Y-%m-%dT%H:%M:%SZ', recorded_at / 1000, 'unixepoch') as recorded
  from moment
 where disposition not in ('ran', 'late', 'caught_up');
