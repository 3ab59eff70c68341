-- A moment that a later run covers names that run: the first that was begun of the moments after it. It is looked for when
-- it is asked for, since a run is not there yet when the moments are recorded that it covers.
create index moment_with_run on moment (job, planned_at, run) where run is not null;

drop view missed_run;

-- A row a scheduled moment at which the job did not run.
create view missed_run as
select job,
       strftime('%Y-%m-%dT%H:%M:%SZ', planned_at / 1000, 'unixepoch') as planned,
       disposition,
       reason,
       coalesce(run, iif(disposition = 'collapsed',
                         (select later.run from moment as later
                           where later.job = moment.job and later.planned_at > moment.planned_at and later.run is not null
                           order by later.planned_at limit 1),
                         null)) as covered_by,
       strftime('%Y-%m-%dT%H:%M:%SZ', recorded_at / 1000, 'unixepoch') as recorded
  from moment
 where disposition not in ('ran', 'late', 'caught_up');
