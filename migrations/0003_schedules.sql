-- What the service schedules: a row a job that ever had a schedule or was paused.
create table job (
    name      text    not null primary key,
    schedule  text,                 -- as written: `cron 0 2 * * *` or `every 2 days`; null: no schedule now (by hand, or taken out of the configuration)
    zone      text,
    since     integer,              -- moments after this instant count, of this schedule
    paused_at integer,
    paused_by text,
    check ((schedule is null) = (since is null)),
    check ((schedule is null) = (zone is null)),
    check ((paused_at is null) = (paused_by is null))
) strict, without rowid;

-- From now on a moment whose run began names that run at once: both are written together. Before, it was named when the
-- run had ended. Those of a run that was cut off are given it here: the run that began between this moment and the next.
update moment
   set run = (select run.id
                from run
               where run.job = moment.job
                 and run.trigger = 'schedule'
                 and run.started_at >= moment.planned_at
                 and run.started_at < coalesce((select min(later.planned_at) from moment as later
                                                 where later.job = moment.job and later.planned_at > moment.planned_at),
                                               9223372036854775807)
               order by run.started_at
               limit 1)
 where run is null and disposition in ('ran', 'late', 'caught_up');

-- Moments that were to run and whose run was never begun: the service was killed between the two.
create index moment_unbegun on moment (job, planned_at) where run is null and disposition in ('ran', 'late', 'caught_up');

-- What a job itself did last; a plan or an approval by hand is another matter.
create index run_of_job on run (job, started_at) where trigger in ('schedule', 'startup', 'manual');

-- For lists of what was missed: among a million moments that ran they are few.
create index moment_missed on moment (planned_at) where disposition not in ('ran', 'late', 'caught_up');
create index moment_missed_by_job on moment (job, planned_at) where disposition not in ('ran', 'late', 'caught_up');
